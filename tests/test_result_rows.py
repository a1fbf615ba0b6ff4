import itertools
import json
import math
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir

from auscult.explain.measures.catalogue import measures
from auscult.explain.measures.localisation import CONFOUND, CUES
from auscult.explain.options import check_question
from auscult.program import config
from auscult.program.conf import CONF
from results import rows, tables
from results.figures import COLUMNS, figures_in

ROWS = yaml.safe_load((rows.HERE / "rows.yaml").read_text(encoding="utf-8"))
PLACES = {"az": ".", "esc10": ".", "runs": "/networks"}


def figures(*runs: tuple) -> pd.DataFrame:
    """Figures from tuples of row, fold, seed, value, and as many as are given of figure, low, high, rank."""
    lines = []
    for row, fold, seed, value, *more in runs:
        figure, low, high, rank = [*more, *(tables.ACCURACY, math.nan, math.nan, "")[len(more) :]]
        lines.append((row, fold, seed, figure, value, low, high, rank, "abc123", "2026-11-27"))
    return pd.DataFrame(lines, columns=COLUMNS)


SEEDS = figures(("a", 0, 0, 0.90), ("a", 0, 1, 0.94), ("a", 1, 0, 0.80), ("a", 1, 1, 0.82), ("b", 0, 0, 0.7))


def test_the_spread_of_seeds_is_pooled_over_folds():
    """The variances of two seeds each are 0.0008 and 0.0002. A row that was run with one seed says nothing."""
    assert tables.seed_deviation(SEEDS) == pytest.approx(math.sqrt((0.0008 + 0.0002) / 2))
    assert np.isnan(tables.seed_deviation(SEEDS[SEEDS["row"] == "b"]))
    assert tables.spread_of(SEEDS, 4) == pytest.approx(2 * math.sqrt(0.0005) * math.sqrt(2 / 4))


@pytest.mark.parametrize(("again", "is_within"), [(0.76, True), (0.64, True), (0.765, False), (0.60, False)])
def test_a_row_holds_within_its_spread(again, is_within, capsys):
    """The spread of one run is two times the square root of twice 0.0005: 0.063 on either side."""
    assert rows.holds(SEEDS, figures(("b", 0, 0, again))) is is_within
    assert ("NOT within" in capsys.readouterr().out) is not is_within


@pytest.mark.parametrize(("again", "is_within"), [(0.45, True), (0.61, False)])
def test_what_was_explained_holds_within_its_intervals(again, is_within, capsys):
    """What an attribution costs is left out: it depends on the machine."""
    noted = figures(
        ("e", 0, 0, 0.5, "input/x/deletion/accuracy", 0.4, 0.6), ("e", 0, 0, 3, "input/x/cost/passes", 3, 3)
    )
    now = figures(("e", 0, 0, again, "input/x/deletion/accuracy"), ("e", 0, 0, 9, "input/x/cost/passes"))
    assert rows.holds(noted, now) is is_within
    assert f"e: {int(is_within)} of 1 figures" in capsys.readouterr().out


def test_figures_are_noted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "NOTED", tmp_path / "noted.csv")
    rows.note(SEEDS)
    rows.note(figures(("b", 0, 0, 0.75), ("b", 1, 0, 0.5)))
    noted = rows.noted()
    assert len(noted) == 6 and noted[noted["row"] == "b"]["value"].tolist() == [0.75, 0.5]


def test_a_row_is_of_one_version(tmp_path):
    """A row that another version began is not continued: its figures would be noted as this version's."""
    assert rows.begin(tmp_path / "rows/a") == rows.begin(tmp_path / "rows/a")
    (tmp_path / "rows/a.version").write_text("older")
    with pytest.raises(SystemExit, match="was begun by version older"):
        rows.begin(tmp_path / "rows/a")


def test_two_programs_note_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "NOTED", tmp_path / "noted.csv")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda fold: rows.note(figures(("a", fold, 0, 0.5))), range(40)))
    assert sorted(rows.noted()["fold"]) == list(range(40))


def test_what_was_noted_does_not_change_the_version(tmp_path, monkeypatch):
    """Else a row could not be continued once its first run was noted."""
    monkeypatch.setattr(rows, "ROOT", tmp_path)
    files = [tmp_path / name for name in ("train.py", "RESULTS.md", "results/noted.csv")]
    (tmp_path / "results").mkdir()
    for file in files:
        file.write_text("before")
    rows.git("init")
    rows.git("add", ".")
    rows.git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "a version")
    version = rows.version_here()
    for file in files[1:]:
        file.write_text("after")
    (tmp_path / "a note of one's own.txt").write_text("not of the project")
    assert rows.version_here() == version == rows.git("rev-parse", "--short", "HEAD")
    files[0].write_text("after")
    assert rows.version_here() == f"{version}-dirty"


def test_a_part_of_a_row_has_options_of_its_own():
    row = {"says": "A | x", "options": ["model=a", "fold=0,1,2,3", "seed=0,1", "data.root={az}"]}
    part = rows.part_of(row, ["fold=2", "seed=1"])
    assert part == {"says": "A | x", "options": ["model=a", "data.root={az}", "fold=2", "seed=1"]}
    assert rows.part_of(row, []) == row


def test_the_folder_of_a_part_is_one_that_hydra_takes():
    name = rows.name_of("audionet-sex", ["fold=2,3", "seed=0,1"])
    assert name == "audionet-sex-fold2+3-seed0+1"
    composed = compose_sweep(f"hydra.sweep.dir=runs/{name}")
    assert composed.hydra.sweep.dir == f"runs/{name}"


def test_runs_are_noted_as_they_end(tmp_path, monkeypatch):
    """If a program fails after its first run, this run's figures are not lost."""
    code = "import os, sys; os.makedirs('0/.hydra'); open('0/.hydra/overrides.yaml', 'w').write('[fold=2]');"
    code += """open('0/metrics.json', 'w').write('{"test/accuracy": 0.9}'); sys.exit(3)"""
    monkeypatch.setattr(rows, "ROOT", tmp_path)
    monkeypatch.setattr(rows, "begin", lambda folder: "abc123")
    monkeypatch.setattr(rows, "command_of", lambda row, places: [rows.sys.executable, "-c", code])
    runs = rows.run("a", {}, {}, tmp_path)
    assert next(runs)[["row", "fold", "value", "version"]].to_numpy().tolist() == [["a", 2, 0.9, "abc123"]]
    with pytest.raises(rows.subprocess.CalledProcessError):
        next(runs)


def compose_sweep(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[*overrides], return_hydra_config=True)


def job(folder, *overrides: str):
    """The folder of a job of a multirun."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(json.dumps(overrides))
    return folder


def test_what_trainings_gave_is_read(tmp_path):
    (job(tmp_path / "0", "fold=2", "seed=1") / "metrics.json").write_text('{"test/accuracy": 0.9, "val/accuracy": 0.8}')
    (job(tmp_path / "1", "fold=3", "seed=1") / "error.txt").write_text("it failed")
    job(tmp_path / "2", "fold=4", "seed=1")  # which did not finish
    figures = figures_in(tmp_path, "row", {})
    assert figures[["fold", "seed", "figure", "value"]].to_numpy().tolist() == [[2, 1, "test/accuracy", 0.9]]


def test_what_explanations_gave_is_read(tmp_path):
    """Figures are named by attribution. The fold is the one whose job trained the network."""
    folder = job(tmp_path / "0", "checkpoint=/networks/a/3/checkpoints/best.ckpt", "attribution=lrp")
    (folder / "metrics.json").write_text('{"area": 0.5, "area_low": 0.4, "area_high": 0.7, "seconds": 9}')
    lines = ["order,fraction,accuracy,low,high", "relevance,0.01,0.6,0.5,0.7", "least relevant,0.01,0.9,0.8,1"]
    (folder / "curves.csv").write_text("\n".join(lines))
    figures = figures_in(tmp_path, "row", {"figures": ["lrp/area", r"lrp/(relevance|least_relevant)/0\.01"]})
    assert figures[["fold", "figure", "value", "low", "high"]].to_numpy().tolist() == [
        [3, "lrp/area", 0.5, 0.4, 0.7], [3, "lrp/relevance/0.01", 0.6, 0.5, 0.7],
        [3, "lrp/least_relevant/0.01", 0.9, 0.8, 1.0],
    ]  # fmt: skip


def test_a_leaderboard_is_read(tmp_path):
    folder = job(tmp_path / "0", "checkpoint=/networks/a/0/checkpoints/best.ckpt")
    lines = ["domain,attribution,measure,mean,low,high,rank", "input,lrp,deletion/accuracy,0.3,0.2,0.4,best"]
    (folder / "leaderboard.csv").write_text("\n".join([*lines, "input,random,deletion/accuracy,0.9,0.8,1,"]))
    figures = figures_in(tmp_path, "row", {"figures": [".*/deletion/accuracy"]})
    assert figures["rank"].tolist() == ["best", ""] and figures["value"].tolist() == [0.3, 0.9]


def test_tables_are_written_between_their_marks(tmp_path, monkeypatch):
    """The means over seeds are 92 and 81. The mean over folds has the deviation of a sample."""
    monkeypatch.setattr(rows, "TABLES", tmp_path / "RESULTS.md")
    rows.TABLES.write_text("before\n<!-- table 1 -->\nstale\n<!-- end of table 1 -->\nafter\n", encoding="utf-8")
    rows.write({"a": {"table": "table 1", "says": "A | x"}, "c": {"table": "table 1", "says": "never run"}}, SEEDS)
    text = rows.TABLES.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- table 1 -->\n|") and text.endswith("<!-- end of table 1 -->\nafter\n")
    assert "| A | x | **86.50 ± 7.78** | 92.0, 81.0 | 2 | 0, 1 | abc123 | 2026-11-27 | `a` |" in text
    assert "stale" not in text and "never run" not in text


def test_methods_are_ranked():
    row = {
        "layout": "methods",
        "program": "benchmark",
        "columns": {"deletion": "input/deletion/accuracy", "cost": "input/cost/passes"},
    }
    lines = tables.table_of({"a": row}, figures(
        ("a", 0, 0, 0.25, "input/lrp/deletion/accuracy", 0.2, 0.3, "best"),
        ("a", 0, 0, 0.26, "input/rise/deletion/accuracy", 0.2, 0.3, "tied"),
        ("a", 0, 0, 3.0, "input/lrp/cost/passes", 3, 3, ""),
    ))  # fmt: skip
    assert lines[0] == "| attribution | deletion | cost |"
    assert lines[2:4] == ["| `lrp` | **0.250** | 3.000 |", "| `rise` | 0.260 = |  |"]
    assert lines[-1] == "Row `a`, version abc123, 2026-11-27."


def test_networks_stand_in_one_table():
    row = {
        "layout": "networks",
        "program": "benchmark",
        "intervals": True,
        "columns": {"in the hum": "frequency/localisation/mass/confound"},
    }
    runs = [
        (name, 0, 0, value, f"frequency/{attribution}/localisation/mass/confound", 0.1, 0.9, "")
        for name, value in (("a", 0.25), ("b", 0.5)) for attribution in ("lrp", "rise")
    ]  # fmt: skip
    lines = tables.table_of({"a": {**row, "says": "A"}, "b": {**row, "says": "B"}, "c": row}, figures(*runs))
    assert lines[0] == "| network | attribution | in the hum | version | date | row |"
    assert lines[3] == "| A | `rise` | 0.250 [0.100, 0.900] | abc123 | 2026-11-27 | `a` |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| A", "| A", "| B", "| B"]


def test_what_explanations_gave_stands_in_the_same_table():
    row = {"layout": "networks", "program": "explain", "says": "A", "format": ".2g"}
    row["columns"] = {"highest": "explained/conservation_error/highest"}
    runs = [("a", 0, 0, 1.5e-6, "lrp/conservation_error/highest"), ("a", 0, 0, 0.5, "lrp/conservation_error/median")]
    assert tables.table_of({"a": row}, figures(*runs))[2:] == ["| A | `lrp` | 1.5e-06 | abc123 | 2026-11-27 | `a` |"]


def test_removal_has_its_controls_once():
    names = itertools.product(("lrp", "rise"), ("relevance", "least_relevant", "amplitude", "random"), ("0", "0.05"))
    curves = [("a", 0, 0, 0.5, "/".join(name), 0.4, 0.6) for name in names]
    curves += [
        ("a", 0, 0, 0.1, "lrp/conservation_error/median"),
        ("a", 0, 0, 0.7, "lrp/perturbation/area/random", 0, 1),
    ]
    lines = tables.table_of({"a": {"layout": "removal", "says": "removed"}}, figures(*curves))
    assert lines[0] == "| removed | 0 % | 5 % |"
    assert [line.split(" | ")[0] for line in lines[2:8]] == [
        "| by relevance, `lrp`", "| by relevance, `rise`", "| by amplitude", "| at random",
        "| least relevant first, `lrp`", "| least relevant first, `rise`",
    ]  # fmt: skip
    assert lines[2].endswith("| 50.0 [40, 60] | 50.0 [40, 60] |")


def test_interventions_have_a_mean_over_folds():
    row = {"layout": "interventions", "says": "stretched", "columns": {"after": "intervention/accuracy_after"}}
    runs = [("a", fold, 0, value, "intervention/accuracy_after", 0.1, 0.9) for fold, value in enumerate((0.25, 0.75))]
    lines = tables.table_of({"a": row}, figures(*runs))
    assert lines[2:5] == [
        "| fold 0 | 25.0 [10, 90] |",
        "| fold 1 | 75.0 [10, 90] |",
        "| **all folds** | **50.00 ± 35.36** |",
    ]


def test_every_table_has_its_marks():
    text = rows.TABLES.read_text(encoding="utf-8")
    for name in {row["table"] for row in ROWS.values()}:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- end of {name} -->") == 1


MEASURES = {measure.column for measure in measures()}
MEASURES |= {f"{measure.column}/{place}" for measure in measures() for place in (*CUES, CONFOUND)
             if measure.topic.name in ("localisation", "control")}  # fmt: skip


@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.get("program") == "benchmark"])
def test_columns_are_of_measures_that_are_noted(row):
    """They are of measures that exist, too: a column of another name would stay empty."""
    for figure in ROWS[row]["columns"].values():
        domain, _, measure = figure.partition("/")
        assert measure in MEASURES
        assert re.fullmatch("|".join(ROWS[row]["figures"]), f"{domain}/lrp_epsilon/{measure}")


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_a_run_that_there_is(row):
    """Its program has its options, and a row above trains the networks that it explains."""
    program = ROWS[row].get("program", "train")
    command = rows.command_of(ROWS[row], PLACES)
    first = [option if "[" in option else option.split(",")[0] for option in command[3:]]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(program, overrides=first)
    (config.check if program == "train" else check_question)(composed)  # networks are not there yet
    for used in re.findall(r"/networks/([^/]+)/\d/checkpoints", " ".join(command)):
        assert ROWS[used].get("program", "train") == "train" and list(ROWS).index(used) < list(ROWS).index(row)
