"""Simulated participants of known behaviour: what was put in is found, and nothing where nothing was."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import study
from src.mistake import Mistake
from src.study.analysis import compare, participants_needed, read, summarise
from src.study.plan import Condition, Plan, StudyClip
from src.study.store import Store
from tests.conftest import run_program

CLASSES = ["yes", "no", "perhaps"]
CONDITIONS = [Condition("visual", "lrp"), Condition("audible", "lrp"), Condition("none", "")]
CLIPS = [
    {"path": f"{n}.wav", "label": "yes", "prediction": CLASSES[n % 3 > 0], "checkpoint": "best.ckpt", "time_axes": {}}
    for n in range(26)
]


def simulated(folder: Path, skill: dict[str, float], people: int = 40, seed: int = 0, **habits: Any) -> Path:
    """A study whose participants guess the prediction with a probability that their condition's form gives them."""
    chance = np.random.default_rng(seed)
    folder.mkdir()
    manifest = {"asked": {"training": 2}, "chosen": CLIPS, "classes": CLASSES}
    (folder / "study.json").write_text(json.dumps(manifest))
    Store(folder / "answers.sqlite")
    plan, rows = Plan([StudyClip(**clip) for clip in CLIPS], CONDITIONS, CLASSES, training=2, attention=3, seed=0), []
    for person in range(people):
        for trial in plan.trials(person, person % len(CONDITIONS))[: habits.get("stop", {}).get(person)]:
            prediction = CLIPS[trial.clip]["prediction"]
            others = [name for name in CLASSES if name != prediction]
            knows = chance.random() < skill[trial.condition.form]
            guess = prediction if knows else str(chance.choice(others))
            if trial.wanted is not None:
                guess = "nobody" if person in habits.get("careless", ()) else trial.wanted
            seconds = 0.2 if person in habits.get("hasty", ()) else 5.0
            shown = person, trial.number, trial.block, trial.clip, trial.condition.name, trial.wanted
            rating = int(chance.integers(1, 6))
            rows.append((*shown, guess, None if trial.condition.form == "none" else rating, seconds, 0.0))
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection, connection:  # all at once, for speed
        connection.executemany("INSERT INTO participants VALUES (?, ?, 0, NULL)", [(n, str(n)) for n in range(people)])
        connection.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return folder


@pytest.mark.slow
def test_what_was_put_in_is_found(tmp_path):
    folder = simulated(tmp_path / "pilot", {"visual": 0.5, "audible": 0.85, "none": 0.5})
    answers = read(folder)
    assert not answers.excluded and len(answers.counted) == 40 * 24
    summary = summarise(answers.counted).set_index(["condition", "clips"])
    for condition, expected in (("visual/lrp", 0.5), ("audible/lrp", 0.85), ("none", 0.5)):
        row = summary.loc[condition, "all"]
        assert row["correct_low"] < expected < row["correct_high"] and row["participants"] == 40
        assert summary.loc[condition, "right"]["answers"] + summary.loc[condition, "wrong"]["answers"] == row["answers"]
    found = compare(answers.counted).query("measure == 'correct' and clips == 'all'").set_index(["one", "other"])
    heard = found.loc["audible/lrp", "visual/lrp"]
    assert heard["low"] < 0.35 < heard["high"] and heard["p_holm"] < 1e-6 and heard["d_z"] > 0.8
    assert found.loc["none", "visual/lrp"]["p_holm"] > 0.05
    ratings = compare(answers.counted).query("measure == 'rating'")
    assert len(ratings) == 3 and (ratings["p_holm"] > 0.01).all()
    assert np.isnan(summary.loc["none", "all"]["rating"]) and 2 < summary.loc["visual/lrp", "all"]["rating"] < 4
    assert (summary["seconds"] == 5).all()


@pytest.mark.slow
def test_nothing_is_found_where_nothing_was(tmp_path):
    """Of 24 studies of equal conditions, a twentieth of the p-values lies below 0.05, give or take."""
    p, false_alarms = [], 0
    for seed in range(24):
        folder = simulated(tmp_path / str(seed), dict.fromkeys(("visual", "audible", "none"), 0.6), people=9, seed=seed)
        table = compare(read(folder).counted).query("measure == 'correct' and clips == 'all'")
        p += table["p"].tolist()
        false_alarms += bool((table["p_holm"] < 0.05).any())
    assert false_alarms <= 4  # of 24 studies, a twentieth or fewer, give or take
    assert len(p) == 72 and np.mean(np.array(p) < 0.05) < 0.14
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.2)


def test_means_are_of_participants_and_the_test_is_paired(tmp_path):
    counted = read(simulated(tmp_path / "pilot", {"visual": 0.4, "audible": 0.7, "none": 0.5}, people=7)).counted
    own = {
        name: part.groupby("participant")["correct"].mean().to_numpy() for name, part in counted.groupby("condition")
    }
    summary = summarise(counted).query("clips == 'all'").set_index("condition")
    for name, values in own.items():
        assert summary.loc[name, "correct"] == pytest.approx(values.mean())
    row = compare(counted).query("measure == 'correct' and clips == 'all' and one == 'audible/lrp' and other == 'none'")
    expected = stats.ttest_rel(own["audible/lrp"], own["none"])
    difference = own["audible/lrp"] - own["none"]
    assert row["t"].item() == pytest.approx(expected.statistic) and row["p"].item() == pytest.approx(expected.pvalue)
    assert row["d_z"].item() == pytest.approx(expected.statistic / np.sqrt(7))
    assert row["difference"].item() == pytest.approx(difference.mean())


def test_exclusion_follows_its_rules(tmp_path):
    folder = simulated(
        tmp_path / "pilot",
        dict.fromkeys(("visual", "audible", "none"), 0.6),
        6,
        careless=(1, 4),
        hasty=(2,),
        stop={5: 8},
    )
    answers = read(folder)
    assert set(answers.excluded) == {1, 2, 4, 5}
    assert "attention" in answers.excluded[1] and "took less than 1 s" in answers.excluded[2]
    assert answers.excluded[5] == "answered 6 of 24 trials"
    assert set(answers.counted["participant"]) == {0, 3} and set(answers.counted["block"]) == {"main"}
    assert set(answers.table["checkpoint"]) == {"best.ckpt"}


def test_the_servers_clock_says_who_was_hasty(tmp_path):
    """All say that they took 5 s. The first did; the second did not; of the third, an earlier version kept no time."""
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 3)
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection, connection:
        for person, seconds in ((0, 5.0), (1, 0.1)):
            connection.execute(
                "INSERT INTO handed_out SELECT participant, trial, answered - ? FROM answers WHERE participant = ?",
                (seconds, person),
            )
    answers = read(folder)
    assert answers.excluded == {1: "took less than 1 s for half of the trials"}
    assert answers.table.groupby("participant")["seconds"].median().tolist() == pytest.approx([5, 0.1, 5])
    assert (answers.table["browser_seconds"] == 5).all()


def test_a_study_of_an_earlier_version_is_analysed_and_continued(tmp_path):
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 4, hasty=(2,))
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection, connection:
        connection.execute("DROP TABLE handed_out")  # which it did not have
    answers = read(folder)
    assert set(answers.excluded) == {2} and (answers.table["seconds"] == answers.table["browser_seconds"]).all()
    store = Store(folder / "answers.sqlite")
    store.hand_out(store.join()[0], 0)
    assert store.handed_out()["participant"].tolist() == [4]


def test_where_everybody_is_excluded_a_sentence_says_so(tmp_path, monkeypatch):
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 2, hasty=(0, 1))
    said = run_program(study, f"results={folder}")
    assert "none that count: all 2 participants are excluded; participant 0 took less than 1 s" in said
    assert len(pd.read_csv(folder / "answers.csv")) == 2 * 29


def answered(rows: list[tuple[int, str, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["participant", "condition", "correct"])
    return table.assign(rating=3.0, clips="right", seconds=5.0)


def test_differences_that_are_all_alike_are_no_proof():
    counted = answered(
        [(person, condition, value) for person in (0, 1, 2) for condition, value in (("a", 1), ("b", 0))]
    )
    [row] = compare(counted).query("measure == 'correct' and clips == 'all'").to_dict("records")
    assert row["difference"] == 1 and all(np.isnan(row[name]) for name in ("p", "p_holm", "t", "low", "high", "d_z"))
    assert np.isnan(summarise(counted)["correct_low"]).all()


def test_holm_corrects_for_the_pairs_of_one_measure_and_kind():
    chance = np.random.default_rng(0)
    rows = [
        (person, name, chance.random() + shift)
        for person in range(12)
        for name, shift in (("a", 0), ("b", 0.2), ("c", 0.6))
    ]
    table = compare(answered(rows)).query("measure == 'correct' and clips == 'all'").sort_values("p")
    p = table["p"].to_numpy()
    by_hand = np.minimum(np.maximum.accumulate(p * [3, 2, 1]), 1)
    np.testing.assert_allclose(table["p_holm"], by_hand)
    own = answered(rows).query("condition == 'a'").set_index("participant")["correct"]
    low, high = (
        summarise(answered(rows)).query("condition == 'a' and clips == 'all'")[["correct_low", "correct_high"]].iloc[0]
    )
    half = stats.t(11).ppf(0.975) * own.std() / np.sqrt(12)
    assert (low, high) == (pytest.approx(own.mean() - half), pytest.approx(own.mean() + half))


def test_a_study_plans_for_all_its_tests():
    alone, together = participants_needed(0.5), participants_needed(0.5, comparisons=6)
    assert alone == 34 and together == participants_needed(0.5, alpha=0.05 / 6) > 50
    assert participants_needed(20) == 2


@pytest.mark.parametrize(("effect", "people"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_planned_sizes_are_those_of_the_tables(effect, people):
    """G*Power's, of two-sided paired t-tests with a power of 0.8 at 0.05."""
    assert participants_needed(effect) == people
    noncentral = stats.nct(people - 1, effect * np.sqrt(people))
    bound = stats.t(people - 1).ppf(0.975)
    assert noncentral.sf(bound) + noncentral.cdf(-bound) >= 0.8


def test_the_program_writes_tables_a_figure_and_a_page(tmp_path, monkeypatch, capsys):
    folder = simulated(tmp_path / "pilot", {"visual": 0.4, "audible": 0.9, "none": 0.5}, people=5, careless=(2,))
    monkeypatch.chdir(tmp_path)
    assert run_program(study, "results=pilot") == ""
    assert len(pd.read_csv(folder / "answers.csv")) == 5 * 29
    assert set(pd.read_csv(folder / "summary.csv")["clips"]) == {"all", "right", "wrong"}
    assert {"p", "p_holm", "d_z"} <= set(pd.read_csv(folder / "comparisons.csv").columns)
    page = (folder / "report.html").read_text()
    assert "5, of whom 1 are excluded" in page and "participant 2: failed" in page and "audible/lrp" in page
    assert (folder / "study.png").read_bytes()[:4] == b"\x89PNG" and "Report: " in capsys.readouterr().out
    assert run_program(study, "effect=0.5") == "" and "34 participants" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.log"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "results has no value; set it with results=…, or plan a study with effect=0.5"),
        (["results=nowhere"], "nowhere is not there, or no folder; name that of a study"),
        (["effect=0"], "effect=0 is not a number from 0.001 to 100"),
        (["effect=0.5", "results=pilot"], "results=… analyses a study, and effect=… plans one; give one of the two."),
        (["effect=0.5", "comparisons=0"], "comparisons=0 is not a whole number of 1 or more"),
        (["effect=0.5", "power=2"], "power=2 is not a number from 0.001 to 0.999"),
        (["result=x"], "result is not an option (did you mean results?); --help lists them."),
    ],
)
def test_mistakes_end_in_a_sentence(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = run_program(study, *options)
    assert message in said and "\n" not in said


def test_a_study_that_nobody_took_part_in_is_no_result(tmp_path):
    folder = simulated(tmp_path / "pilot", {}, people=0)
    with pytest.raises(Mistake, match="has no answers yet"):
        read(folder)
