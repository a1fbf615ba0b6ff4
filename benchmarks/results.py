"""Makes the rows of RESULTS.md by their commands, and tells whether a row still holds.

    python -m benchmarks.results                      the rows, and what has been measured
    python -m benchmarks.results make alexnet-sex     runs a row, from where it was stopped, and notes its figures
    python -m benchmarks.results check alexnet-sex    runs it anew: does it lie within its spread?
    python -m benchmarks.results write                writes the tables of RESULTS.md from what was noted

`results.yaml` has the rows and `results.csv` a line per run: row, fold, seed, accuracy, the version that was run, and
the date. A row's spread is what another seed may change: two standard errors of the difference between two runs of the
row. How far seeds spread is measured on the row that was run with several, fold by fold, and taken for the others.
"""

import argparse
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from src.summary import read_jobs

HERE = Path(__file__).parent
ROOT = HERE.parent
NOTED, TABLES = HERE / "results.csv", ROOT / "RESULTS.md"
COLUMNS = ["row", "fold", "seed", "accuracy", "version", "date"]
SHARED = "../shared/data/audiomnist_az"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("list", "make", "check", "write"), default="list")
    parser.add_argument("row", nargs="?", help="of benchmarks/results.yaml")
    parser.add_argument("--az", default=SHARED, help="where AudioMNIST_AZ lies")
    parser.add_argument("--folder", type=Path, default=ROOT / "multirun/results", help="of the runs")
    options = parser.parse_args()
    rows = yaml.safe_load((HERE / "results.yaml").read_text())
    if options.what in ("make", "check") and options.row not in rows:
        parser.error(f"{options.row} is no row; name one of {', '.join(rows)}")
    if options.what == "make":
        note(run(rows[options.row]["options"], options.row, options.az, options.folder / options.row))
    if options.what == "check":
        again = options.folder / f"{options.row}-{date.today()}"
        sys.exit(0 if holds(noted(), run(rows[options.row]["options"], options.row, options.az, again)) else 1)
    if options.what == "write":
        write(rows, noted())
    if options.what == "list":
        print("\n".join(table_of(rows, noted(), "table 1")))


def run(options: list[str], row: str, az: str, folder: Path) -> pd.DataFrame:
    """Trains what the row has, and reads what came of it; `COLUMNS`, a line per job that has finished."""
    data = ["data=audiomnist_az", f"data.root={az}"]
    command = [sys.executable, "train.py", "-m", *data, *options, f"hydra.sweep.dir={folder}"]
    begin(folder)
    subprocess.run(command, cwd=ROOT, check=True)
    return read(folder, row)


def begin(folder: Path) -> None:
    """Writes the version beside a multirun's folder; ends the program if the multirun was begun by another one."""
    command = ["git", "describe", "--always", "--dirty"]
    version = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    file = version_file(folder)
    if file.exists() and file.read_text() != version:
        sys.exit(f"{folder} was begun by version {file.read_text()}: check that out, or name another --folder.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(version)


def version_file(folder: Path) -> Path:
    """Where the version stands that a multirun was begun by."""
    return folder.with_name(f"{folder.name}.version")


def read(folder: Path, row: str) -> pd.DataFrame:
    """The jobs of a multirun that have finished, in `COLUMNS`."""
    version = version_file(folder).read_text()
    lines = [
        (row, int(job["overrides"]["fold"]), int(job["overrides"].get("seed", 0)), job["test/accuracy"])
        for job in read_jobs(folder)
        if not job["error"]
    ]
    return pd.DataFrame([(*line, version, str(date.today())) for line in lines], columns=COLUMNS)


def noted() -> pd.DataFrame:
    """What has been measured, in `COLUMNS`."""
    return pd.read_csv(NOTED) if NOTED.exists() else pd.DataFrame(columns=COLUMNS)


def note(runs: pd.DataFrame) -> None:
    """Writes down what was measured, in the place of older figures of the same runs."""
    both = pd.concat([noted(), runs], ignore_index=True).drop_duplicates(COLUMNS[:3], keep="last")
    both.sort_values(COLUMNS[:3]).to_csv(NOTED, index=False, float_format="%.6g")


def seed_deviation(figures: pd.DataFrame) -> float:
    """Standard deviation between seeds of one fold, pooled over all folds that were run with several; else NaN."""
    groups = [group["accuracy"] for _, group in figures.groupby(["row", "fold"]) if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    return float(np.sqrt(sum(group.var() * (len(group) - 1) for group in groups) / freedom)) if freedom else np.nan


def spread_of(figures: pd.DataFrame, runs: int) -> float:
    """How far two means over so many runs lie apart by their seeds: two standard errors of their difference."""
    return 2 * seed_deviation(figures) * (2 / runs) ** 0.5


def holds(figures: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Whether a row that was run again lies within its spread of what was noted; says so."""
    both = figures.merge(again, on=COLUMNS[:3], suffixes=("", "_again"))
    before, now = both["accuracy"].mean(), both["accuracy_again"].mean()
    spread = spread_of(figures, len(both))
    lies = abs(now - before) <= spread
    words = "within" if lies else "NOT within"
    print(f"{again['row'].iloc[0]}: {100 * now:.2f} now, {100 * before:.2f} noted, {words} {100 * spread:.2f} of it.")
    return bool(lies)


def write(rows: dict[str, dict], figures: pd.DataFrame) -> None:
    """Puts each table between its two marks in RESULTS.md."""
    text = TABLES.read_text(encoding="utf-8")
    for name in dict.fromkeys(row["table"] for row in rows.values()):
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(start)
        _, after = rest.split(end)
        text = before + start + "\n".join(table_of(rows, figures, name)) + "\n" + end + after
    TABLES.write_text(text, encoding="utf-8")


def table_of(rows: dict[str, dict], figures: pd.DataFrame, name: str) -> list[str]:
    """A table in Markdown: of each row the mean over its folds, each the mean over its seeds, with their deviation."""
    lines = ["| network | task | accuracy | of folds | folds run | seeds | version | date | row |", "|---" * 9 + "|"]
    for key, row in rows.items():
        own = figures[figures["row"] == key]
        if row["table"] != name or own.empty:
            continue
        folds = 100 * own.groupby("fold")["accuracy"].mean()
        mean = f"**{folds.mean():.2f} ± {folds.std():.2f}**" if len(folds) > 1 else f"{folds.mean():.2f}"
        cells = [row["says"], mean, ", ".join(f"{value:.1f}" for value in folds), f"{len(folds)}"]
        cells += [", ".join(map(str, sorted(own["seed"].unique()))), ", ".join(own["version"].unique())]
        lines.append(f"| {' | '.join([*cells, own['date'].max(), f'`{key}`'])} |")
    deviation = 100 * seed_deviation(figures)
    if not np.isnan(deviation):
        lines += [
            "",
            f"Between seeds, the accuracy of one fold spreads by {deviation:.2f} points (standard deviation).",
        ]
    return lines


if __name__ == "__main__":
    main()
