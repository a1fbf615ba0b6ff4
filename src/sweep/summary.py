"""Sums up many runs in one table. Reads only their folders, so that it works with any launcher.

    python -m auscult.sweep.summary multirun/DATE/TIME

sums a multirun up again: when the multirun itself was killed, or a job of it was resumed.
"""

import json
import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from auscult.files import check_links
from auscult.machine.interruption import set_way_on
from auscult.mistake import Mistake
from auscult.plain_data import counted, plain_yaml, shown, text_of
from auscult.printing import printing
from auscult.program.earlier_run import FAILED, LEFT_OUT

DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
CHOICES = ("data", "model", "task", "intervention")
RECORDS = ("overrides", "hydra")  # files that say how a job was started
# columns of summary.md, if the jobs have them; those of relevance follow
TESTED = (
    "test/accuracy",
    "test/balanced_accuracy",
    "val/accuracy",
    "val/balanced_accuracy",
    "test/map",
    "test/f1",
    "val/map",
    "test/mae",
    "test/correlation",
    "val/mae",
    "intervention/accuracy_before",
    "intervention/accuracy_after",
    "intervention/flipped",
    "intervention/opposite/minus_intervention",
    "intervention/artefact/minus_intervention",
)
# arXiv 1807.03418v3, Table 1: test accuracy in %, mean and standard deviation over the folds, as published
PAPER = {
    ("alexnet", "digit"): (95.82, 1.49),
    ("alexnet", "sex"): (95.87, 2.85),
    ("audionet", "digit"): (92.53, 2.04),
    ("audionet", "sex"): (91.74, 8.60),
}


SPREAD = "mean ± standard deviation (divisor n - 1) over the n jobs"


class SweepSummary(Callback):
    """Ends a multirun with `summary.csv` and `summary.md`, and with exit status 1 if a job failed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Sets how a multirun that is stopped goes on."""
        folder = Path(config.hydra.sweep.dir).absolute()
        set_way_on(lambda: f"go on by repeating the command with hydra.sweep.dir={folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Writes the summary."""
        sum_up(Path(config.hydra.sweep.dir).absolute())


class FailedJobs(Callback):
    """Ends a multirun that has no summary with exit status 1 if a job failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the program with an error if a job failed."""
        folder = Path(config.hydra.sweep.dir).absolute()
        failed = len(list(folder.rglob(FAILED)))
        if failed:
            raise SystemExit(f"{counted(failed, 'job')} failed; {FAILED} in their folders below {folder} says why.")


def sum_up(folder: Path) -> None:
    """Writes the summary of a multirun and prints it; exits with status 1 if a job failed."""
    try:
        check_links(folder)
        rows = read_jobs(folder)
        write(folder, rows)
    except Mistake as mistake:
        raise SystemExit(str(mistake)) from mistake
    except OSError as error:
        raise SystemExit(f"Cannot write the summary to {error.filename or folder} ({error.strerror}).") from error
    with printing():
        print((folder / "summary.md").read_text(encoding="utf-8"))
        print(f"Sweep folder: {folder}")
    log_to_wandb(folder, rows)
    failed = sum(bool(row["error"]) for row in rows)
    if failed:
        raise SystemExit(f"{failed} of {len(rows)} jobs failed; summary.csv says why.")


def read_jobs(folder: Path) -> list[dict[str, Any]]:
    """A row per job of a multirun: its number, overrides, choices, metrics and error, in the jobs' order.

    Args:
        folder: the multirun's, with a run folder per job.
    """
    rows: list[dict[str, Any]] = []
    for record in sorted(folder.rglob(".hydra/overrides.yaml")):
        job = record.parents[1]
        if (job / LEFT_OUT).exists():
            continue
        row: dict[str, Any] = {"job": len(rows), "folder": str(job.relative_to(folder)), "overrides": {}, "choices": {}}
        try:
            rows.append(row | read_job(job))
        except DAMAGES as error:
            rows.append(row | {"error": f"its record cannot be read ({shown(error)})"})
    return sorted(rows, key=lambda row: row["job"])


def read_job(job: Path) -> dict[str, Any]:
    """The row of a job, from its folder. Raises any of `DAMAGES` if the folder is damaged."""
    overrides, hydra = (plain_yaml(text_of(job / f".hydra/{name}.yaml")) for name in RECORDS)
    parts = [text.lstrip("+").partition("=") for text in overrides]
    choices = hydra["hydra"]["runtime"]["choices"]
    row: dict[str, Any] = {"job": int(hydra["hydra"]["job"]["num"]), "error": ""}
    row["overrides"] = {name: value for name, _, value in parts}
    row["choices"] = {group: choices[group] and shown(choices[group]) for group in CHOICES if group in choices}
    if (job / FAILED).exists():
        row["error"] = shown(text_of(job / FAILED).strip(), 1000)
    elif (job / "metrics.json").exists():
        row = metrics_in(text_of(job / "metrics.json")) | row
    else:
        row["error"] = "did not finish"
    return row


def metrics_in(text: str) -> dict[str, float | int]:
    """The numbers of a `metrics.json`. Raises any of `DAMAGES` if it holds anything else."""
    metrics = {shown(name): (value, float(value)) for name, value in json.loads(text).items()}
    return {name: value if isinstance(value, int) else number for name, (value, number) in metrics.items()}


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes `summary.csv`, a row per job, and `summary.md`, mean and standard deviation over folds.

    Args:
        rows: as `read_jobs` returns them.
    """
    import pandas as pd  # only now: every `python train.py` reads this file, also for --help

    with pd.option_context("mode.string_storage", "python"):  # pyarrow takes no other names than those that are UTF-8
        table = pd.DataFrame([{**row, **row["overrides"]} for row in rows])
        table = table.drop(columns=["overrides", "choices"], errors="ignore")
        first = [name for name in ["job", *varied(rows), "fold", *metrics_shown(rows), "error"] if name in table]
        rest = [name for name in table if name not in first]
        table[[*dict.fromkeys(first), *rest]].to_csv(folder / "summary.csv", index=False, errors="backslashreplace")
    (folder / "summary.md").write_text("\n".join(markdown(rows)) + "\n", encoding="utf-8", errors="backslashreplace")


def log_to_wandb(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Logs `summary.csv` to W&B, if its jobs were logged there."""
    loggers = [logger_of(folder / row["folder"]) for row in rows]
    if options := next((logger for logger in loggers if logger.get("name") == "wandb"), None):
        import pandas as pd  # only now, see `write`

        from auscult.run.wandb import log_sweep

        log_sweep(folder, options, pd.read_csv(folder / "summary.csv"))


def logger_of(job: Path) -> dict[str, Any]:
    """The options of a job's logger; none if they cannot be read. Explanations have them in Hydra's record only."""
    for record in ("config.yaml", ".hydra/config.yaml"):
        with suppress(*DAMAGES):
            return dict(plain_yaml((job / record).read_text(encoding="utf-8"))["logger"])
    return {}


def metrics_shown(rows: list[dict[str, Any]]) -> list[str]:
    """Metrics that are columns of `summary.md`, as far as the jobs have them."""
    if all(row["error"] for row in rows):
        return list(TESTED)
    from auscult.explain.measures.catalogue import summary_columns  # only now, see `write`

    return [*TESTED, *summary_columns()]


def varied(rows: list[dict[str, Any]]) -> list[str]:
    """The overrides that differ between jobs, other than the fold."""
    names = dict.fromkeys(name for row in rows for name in row["overrides"])
    return [name for name in names if name != "fold" and len({row["overrides"].get(name) for row in rows}) > 1]


def by_attribution(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A job's row as one for each attribution or intervention that explained it (`explain_by`), or as it is."""
    columns = metrics_shown([row])
    explained: dict[str, dict[str, Any]] = {}
    for name, value in row.items():
        explanation, _, metric = name.partition("/")
        if metric in columns:
            explained.setdefault(explanation, {})[metric] = value
    # the row also has the metrics of the first one without its name
    own = {metric for metrics in explained.values() for metric in metrics}
    rest = {name: value for name, value in row.items() if name not in own}
    rows = []
    for name, metrics in explained.items():
        group = "intervention" if "intervention/accuracy_after" in metrics else "attribution"
        rows.append({**rest, **metrics, "overrides": {**row["overrides"], group: name}})
    return rows or [row]


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """The lines of `summary.md`."""
    failed = [row for row in rows if row["error"]]
    rows = [part for row in rows for part in by_attribution(row)]
    names = varied(rows)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row["overrides"].get(name, "") for name in names), []).append(row)
    with_paper = bool(rows) and all(row["choices"].get("data") == "audiomnist" for row in rows)
    metrics = [name for name in metrics_shown(rows) if any(name in row for row in rows)]
    columns = [*names, "jobs", *(name.removeprefix("test/") for name in metrics)]
    columns += ["paper, Table 1, as published"] if with_paper else []
    raw = [name.removeprefix("test/") for name in metrics if factor(name) == 1]
    percent = f"Percent, but for {' and '.join(raw)}" if raw else "Percent"
    lines = ["# Sweep", "", f"{percent}, {SPREAD} of a row (folds).", ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for values, members in groups.items():
        done = [row for row in members if not row["error"]]
        cells = [*map(cell, values), f"{len(done)}" if len(done) == len(members) else f"{len(done)} of {len(members)}"]
        cells += [mean_and_std([factor(name) * row[name] for row in done if name in row]) for name in metrics]
        if with_paper:
            choices = members[0]["choices"]
            paper = PAPER.get((choices.get("model"), choices.get("task")))
            cells.append(f"{paper[0]:.2f} ± {paper[1]:.2f}" if paper else "")
        lines.append("| " + " | ".join(cells) + " |")
    if rows and all(row["choices"].get("intervention") == "scale_spectrogram" for row in rows):
        lines += [
            "",
            "The paper's AlexNet, on AudioMNIST's sex, fell from 95.87 ± 2.85 to 20.3 ± 12.6 (approximately).",
        ]
    if failed:
        lines += ["", "## Failed", "", *(f"- job {row['job']}: {row['error']}" for row in failed)]
    return lines


def factor(name: str) -> int:
    """What a metric is multiplied by in `summary.md`: shares are percent, numbers have their own unit."""
    return 1 if name.endswith(("/mae", "/correlation")) else 100


def cell(value: Any) -> str:
    """A value as a cell of a table in Markdown."""
    return " ".join(str(value).split()).replace("|", "\\|")


def mean_and_std(values: list[float]) -> str:
    """Mean and standard deviation of a sample, such as `95.87 ± 2.85`. The sum of squares is divided by n - 1.

    Folds are a small sample of all folds that could be made. If their sum were divided by n, the deviation of five
    would be a tenth too small, and that of two 29 %. One value has no deviation.
    """
    if not values:
        return "–"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)):.2f}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "multirun.yaml").is_file():
        sys.exit("python -m auscult.sweep.summary FOLDER takes the folder of a multirun, such as multirun/DATE/TIME.")
    sum_up(Path(sys.argv[1]).absolute())
