import math

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir

from benchmarks import results
from src import config
from src.conf import CONF

ROWS = yaml.safe_load((results.HERE / "results.yaml").read_text())


def figures(*runs: tuple[str, int, int, float]) -> pd.DataFrame:
    return pd.DataFrame([(*run, "abc123", "2026-11-27") for run in runs], columns=results.COLUMNS)


SEEDS = figures(("a", 0, 0, 0.90), ("a", 0, 1, 0.94), ("a", 1, 0, 0.80), ("a", 1, 1, 0.82), ("b", 0, 0, 0.7))


def test_the_spread_of_seeds_is_pooled_over_folds():
    """Variances 0.0008 and 0.0002 of two seeds each; what was run with one seed says nothing."""
    assert results.seed_deviation(SEEDS) == pytest.approx(math.sqrt((0.0008 + 0.0002) / 2))
    assert np.isnan(results.seed_deviation(SEEDS[SEEDS["row"] == "b"]))
    assert results.spread_of(SEEDS, 4) == pytest.approx(2 * math.sqrt(0.0005) * math.sqrt(2 / 4))


@pytest.mark.parametrize(("again", "is_within"), [(0.76, True), (0.64, True), (0.765, False), (0.60, False)])
def test_a_row_holds_within_its_spread(again, is_within, capsys):
    """Of one run, two times the square root of twice 0.0005: 0.063 on either side."""
    assert results.holds(SEEDS, figures(("b", 0, 0, again))) is is_within
    assert ("NOT within" in capsys.readouterr().out) is not is_within


def test_figures_are_noted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "NOTED", tmp_path / "results.csv")
    results.note(SEEDS)
    results.note(figures(("b", 0, 0, 0.75), ("b", 1, 0, 0.5)))
    found = results.noted()
    assert len(found) == 6 and found[found["row"] == "b"]["accuracy"].tolist() == [0.75, 0.5]


def test_a_row_is_of_one_version(tmp_path):
    """What another version began is not gone on with; it would be noted as this one's."""
    results.begin(tmp_path / "rows/a")
    results.begin(tmp_path / "rows/a")
    (tmp_path / "rows/a.version").write_text("older")
    with pytest.raises(SystemExit, match="was begun by version older"):
        results.begin(tmp_path / "rows/a")


def test_tables_are_written_between_their_marks(tmp_path, monkeypatch):
    """Means over folds of means over seeds, 92 and 81; their deviation as of a sample."""
    monkeypatch.setattr(results, "TABLES", tmp_path / "RESULTS.md")
    results.TABLES.write_text("before\n<!-- table 1 -->\nstale\n<!-- end of table 1 -->\nafter\n", encoding="utf-8")
    results.write({"a": {"table": "table 1", "says": "A | x"}, "c": {"table": "table 1", "says": "never run"}}, SEEDS)
    text = results.TABLES.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- table 1 -->\n|") and text.endswith("<!-- end of table 1 -->\nafter\n")
    assert "| A | x | **86.50 ± 7.78** | 92.0, 81.0 | 2 | 0, 1 | abc123 | 2026-11-27 | `a` |" in text
    assert "stale" not in text and "never run" not in text


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_a_run_that_there_is(row):
    first = [option.split(",")[0] for option in ROWS[row]["options"]]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config.check(compose("train", overrides=["data=audiomnist_az", "data.root=.", *first]))
