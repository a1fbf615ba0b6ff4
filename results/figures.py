"""The figures that the runs of a row of RESULTS.md gave."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from auscult.plain_data import plain_yaml, text_of
from auscult.program.earlier_run import FAILED

RUN = ["row", "fold", "seed"]  # the columns that name a run
COLUMNS = [*RUN, "figure", "value", "low", "high", "rank", "version", "date"]
ENDS = ("_low", "_high")  # how the names of intervals' ends end

Figure = tuple[Any, ...]  # name, value, both ends of its interval, rank


def figures_in(folder: Path, name: str, row: dict[str, Any]) -> pd.DataFrame:
    """The figures that a row shows, from the finished runs of a multirun, in `COLUMNS` without the last two.

    Args:
        folder: the multirun's folder.
        row: its `figures` are regular expressions of the names; `test/accuracy`, if it has none.
    """
    shown = re.compile("|".join(row.get("figures", ["test/accuracy"])))
    lines: list[tuple[Any, ...]] = []
    for record in sorted(folder.glob("*/.hydra/overrides.yaml"), key=lambda path: int(path.parents[1].name)):
        job = record.parents[1]
        if (job / FAILED).exists():
            continue
        overrides = dict(word.lstrip("+").split("=", 1) for word in plain_yaml(text_of(record)))
        run = (name, fold_of(overrides), int(overrides.get("seed", 0)))
        prefix = f"{overrides['attribution']}/" if "attribution" in overrides else ""
        for figure, *rest in figures_of(job):
            if shown.fullmatch(prefix + figure):
                lines.append((*run, prefix + figure, *rest))
    return pd.DataFrame(lines, columns=COLUMNS[:-2])


def fold_of(overrides: dict[str, str]) -> int:
    """The fold of a run: its own, or the number of the job that trained the network which it explains."""
    return int(overrides["fold"] if "fold" in overrides else Path(overrides["checkpoint"]).parts[-3])


def figures_of(job: Path) -> Iterator[Figure]:
    """A run's figures: metrics, curves as `order/fraction`, the leaderboard as `domain/attribution/measure`."""
    if (job / "metrics.json").exists():
        metrics = json.loads(text_of(job / "metrics.json"))
        for name, value in metrics.items():
            if not name.endswith(ENDS):
                low, high = (metrics.get(name + end) for end in ENDS)
                yield name, value, low, high, ""
    if (job / "curves.csv").exists():
        for line in pd.read_csv(job / "curves.csv").itertuples():
            order = str(line.order).replace(" ", "_")  # "least relevant"
            yield f"{order}/{line.fraction:g}", line.accuracy, line.low, line.high, ""
    if (job / "leaderboard.csv").exists():
        for line in pd.read_csv(job / "leaderboard.csv").fillna({"rank": ""}).itertuples():
            yield f"{line.domain}/{line.attribution}/{line.measure}", line.mean, line.low, line.high, line.rank
