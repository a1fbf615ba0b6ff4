"""Makes the rows of RESULTS.md by their commands, and says whether a row still holds.

    python -m results                      the rows, and which have been measured
    python -m results make alexnet-sex     runs a row, from where it was stopped, and notes its figures
    python -m results make alexnet-sex fold=2,3 seed=1      a part of a row, with options of its own
    python -m results check alexnet-sex    runs it anew: does it lie within its spread?
    python -m results write                writes the tables of RESULTS.md from what was noted

`rows.yaml` has the rows, and `noted.csv` their figures: a line per run and figure, with the version that was run,
and the date. A run is noted within a minute of its end. A row that explains needs the networks of the row that trains
them, in the same folder.

The spread of a row that trains is what another seed may change: two standard errors of the difference between two runs
of the row. How far seeds spread is measured on the row that was run with several, fold by fold, and taken for the
others. The spread of an explanation's figure is the interval over speakers that stands beside it.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from filelock import FileLock

from auscult.files import replacing
from results.figures import COLUMNS, RUN, figures_in
from results.tables import ACCURACY, spread_of, table_of

HERE = Path(__file__).parent
ROOT = HERE.parent
NOTED, TABLES = HERE / "noted.csv", ROOT / "RESULTS.md"
WRITTEN = [file.relative_to(ROOT) for file in (NOTED, TABLES)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("list", "make", "check", "write"), default="list")
    parser.add_argument("row", nargs="?", help="a row of results/rows.yaml")
    parser.add_argument("part", nargs="*", help="options in the place of the row's own: fold=2,3")
    parser.add_argument("--az", default="../shared/data/audiomnist_az", help="where AudioMNIST_AZ lies")
    parser.add_argument("--esc10", default="../shared/data/esc10", help="where ESC-10 lies, or ESC-50")
    parser.add_argument("--folder", type=Path, default=ROOT / "multirun/results", help="where the runs are")
    options = parser.parse_args()
    rows = yaml.safe_load((HERE / "rows.yaml").read_text(encoding="utf-8"))
    if options.what in ("make", "check") and options.row not in rows:
        parser.error(f"{options.row} is no row; name one of {', '.join(rows)}")
    places = {"az": options.az, "esc10": options.esc10, "runs": str(options.folder.absolute())}
    if options.what in ("make", "check"):
        row, name = part_of(rows[options.row], options.part), name_of(options.row, options.part)
    if options.what == "make":
        for runs in run(options.row, row, places, options.folder / name):
            note(runs)
    if options.what == "check":
        *_, again = run(options.row, row, places, options.folder / f"{name}-{date.today()}")
        sys.exit(0 if holds(noted(), again) else 1)
    if options.what == "write":
        write(rows, noted())
    if options.what == "list":
        measured = noted().groupby("row")["version"].first()
        print("\n".join(f"{name:32} {measured.get(name, 'not measured')}" for name in rows))


def name_of(row: str, part: list[str]) -> str:
    """The name of the folder of a row, or of a part of it, without what Hydra would read: `audionet-sex-fold2+3`."""
    return "-".join([row, *part]).replace(",", "+").replace("=", "")


def part_of(row: dict[str, Any], part: list[str]) -> dict[str, Any]:
    """The row with other options, `name=value`, in the place of its own of the same name."""
    names = {option.partition("=")[0] for option in part}
    kept = [option for option in row["options"] if str(option).partition("=")[0] not in names]
    return {**row, "options": [*kept, *part]}


def run(name: str, row: dict[str, Any], places: dict[str, str], folder: Path) -> Iterator[pd.DataFrame]:
    """Runs the command of a row. Yields the figures of its finished runs, once a minute and at the end, in `COLUMNS`.

    Args:
        places: what stands for the words in braces in the row's options.

    Raises:
        subprocess.CalledProcessError: the program failed.
    """
    version = begin(folder)
    command = [*command_of(row, places), f"hydra.sweep.dir={folder}"]
    with subprocess.Popen(command, cwd=ROOT) as program:
        status = None
        while status is None:
            with suppress(subprocess.TimeoutExpired):
                status = program.wait(60)
            yield figures_in(folder, name, row).assign(version=version, date=str(date.today()))
    if status:
        raise subprocess.CalledProcessError(status, command)


def command_of(row: dict[str, Any], places: dict[str, str]) -> list[str]:
    """The command of a row, without the folder of its runs."""
    options = [str(option) for option in row["options"]]
    for word, place in places.items():
        options = [option.replace(f"{{{word}}}", place) for option in options]
    return [sys.executable, f"{row.get('program', 'train')}.py", "-m", *options]


def begin(folder: Path) -> str:
    """Writes the version beside a multirun's folder; ends the program if the multirun was begun by another one."""
    version = version_here()
    file = folder.with_name(f"{folder.name}.version")
    if file.exists() and file.read_text() != version:
        sys.exit(f"{folder} was begun by version {file.read_text()}; check out that version, or name another --folder.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(version)
    return version


def version_here() -> str:
    """The commit that is checked out, with `-dirty` if a file differs from it that is not written by this program."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{file}" for file in WRITTEN))
    return git("describe", "--always") + ("-dirty" if changed else "")


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def noted() -> pd.DataFrame:
    """What has been measured, in `COLUMNS`."""
    return pd.read_csv(NOTED, dtype={"version": str}) if NOTED.exists() else pd.DataFrame(columns=COLUMNS)


def note(runs: pd.DataFrame) -> None:
    """Writes down what was measured, in the place of older figures of the same runs; several programs may."""
    with FileLock(NOTED.with_suffix(".lock")):
        both = pd.concat([noted(), runs]) if NOTED.exists() else runs
        both = both.drop_duplicates([*RUN, "figure"], keep="last")
        with replacing(NOTED) as unfinished:
            both.sort_values(RUN, kind="stable").to_csv(unfinished, index=False, float_format="%.6g")


def holds(figures: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Says whether a row that was run again lies within its spread of what was noted."""
    both = figures.merge(again, on=[*RUN, "figure"], suffixes=("", "_again"))
    name = again["row"].iloc[0]
    if set(both["figure"]) == {ACCURACY}:
        before, now, spread = both["value"].mean(), both["value_again"].mean(), spread_of(figures, len(both))
        is_within = bool(abs(now - before) <= spread)
        words = "within" if is_within else "NOT within"
        print(f"{name}: {100 * now:.2f} now, {100 * before:.2f} noted, {words} {100 * spread:.2f} of it.")
        return is_within
    bounded = both.dropna(subset=["low", "high"])
    bounded = bounded[~bounded["figure"].str.contains("cost/")]  # cost depends on what else the machine does
    inside = bounded["value_again"].between(bounded["low"], bounded["high"])
    inside |= np.isclose(bounded["value"], bounded["value_again"])
    for line in bounded[~inside].itertuples():
        print(f"{line.figure}: {line.value_again:.4g} now, {line.value:.4g} [{line.low:.4g}, {line.high:.4g}] noted.")
    print(f"{name}: {inside.sum()} of {len(bounded)} figures lie within their intervals.")
    return bool(inside.all() and len(bounded))


def write(rows: dict[str, dict[str, Any]], figures: pd.DataFrame) -> None:
    """Puts each table between its two marks in RESULTS.md."""
    text = TABLES.read_text(encoding="utf-8")
    for name in dict.fromkeys(row["table"] for row in rows.values()):
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(start)
        _, after = rest.split(end)
        own = {key: row for key, row in rows.items() if row["table"] == name}
        text = before + start + "\n".join(table_of(own, figures)) + "\n" + end + after
    TABLES.write_text(text, encoding="utf-8")
