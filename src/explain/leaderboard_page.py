"""A leaderboard as files: every number in a table, and a page to sort by any of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from src.explain.ranking import LOWER_IS_BETTER, Entry, table_of
from src.explain.report import template

MARKS = {"best": "**{:.3f}**", "tied": "*{:.3f}*", "": "{:.3f}"}


def write(folder: Path, entries: Sequence[Entry], left_out: Sequence[str], checkpoint: str, seed: int) -> None:
    """`leaderboard.csv`, a row per number; `leaderboard.md` and `leaderboard.html`, a table per domain."""
    table = table_of(entries, seed)
    table.to_csv(folder / "leaderboard.csv", index=False, float_format="%.6g")
    clips, speakers = len(entries[0].speakers), len(set(entries[0].speakers))
    about = f"{checkpoint}: {clips} clips of {speakers} speakers."
    lines = [
        "# Leaderboard",
        "",
        about,
        "",
        "**Best** of its domain; *tied* with it (95 % intervals over speakers).",
        "",
    ]
    for domain, part in table.groupby("domain", sort=False):
        lines += [f"## {domain}", "", *markdown(part), ""]
    lines += [f"- left out: {reason}" for reason in left_out]
    (folder / "leaderboard.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    parts = [
        {"domain": domain, "measures": part["measure"].unique().tolist(), "rows": rows_of(part)}
        for domain, part in table.groupby("domain", sort=False)
    ]
    page = template("leaderboard.html.j2").render(about=about, parts=parts, left_out=left_out, lower=LOWER_IS_BETTER)
    (folder / "leaderboard.html").write_text(page, encoding="utf-8")


def markdown(part: pd.DataFrame) -> list[str]:
    """One domain's table: a row per attribution, a column per measure."""
    measures = part["measure"].unique().tolist()
    lines = [f"| attribution | {' | '.join(measures)} |", "|---" * (len(measures) + 1) + "|"]
    for attribution, own in part.groupby("attribution", sort=False):
        cells = {row["measure"]: MARKS[row["rank"]].format(row["mean"]) for row in own.to_dict("records")}
        lines.append(f"| {attribution} | {' | '.join(cells.get(measure, '–') for measure in measures)} |")
    return lines


def rows_of(part: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """One domain's numbers by attribution and measure."""
    return {
        str(attribution): {row["measure"]: row for row in own.to_dict("records")}
        for attribution, own in part.groupby("attribution", sort=False)
    }
