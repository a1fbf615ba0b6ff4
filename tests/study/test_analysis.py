"""Simulated participants of known behaviour: a difference that is put in is found, and no other one."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auscult.mistake import Mistake
from auscult.study.analysis import read, summarise
from auscult.study.comparisons import compare
from auscult.study.crossed import estimate
from auscult.study.page import write
from auscult.study.plan import Comparison, Condition, Plan, StudyClip
from auscult.study.store import Store
from tests.conftest import run_program

CLASSES = ["yes", "no", "perhaps"]
CONDITIONS = [Condition("visual", "lrp"), Condition("audible", "lrp"), Condition("none", "")]
CLIPS = [
    {"path": f"{n}.wav", "label": "yes", "prediction": CLASSES[n % 3 > 0], "checkpoint": "best.ckpt", "time_axes": {}}
    for n in range(26)
]

PRIMARY = {"one": "audible/lrp", "other": "visual/lrp", "measure": "correct", "clips": "all"}


def simulated(folder: Path, skill: dict[str, float], people: int = 40, seed: int = 0, **habits: Any) -> Path:
    """A study whose participants guess the prediction with a probability that their condition's form gives them."""
    chance = np.random.default_rng(seed)
    folder.mkdir()
    asked = {"training": 2} | ({"primary": habits["primary"]} if "primary" in habits else {})  # as earlier versions did
    manifest = {"asked": asked, "chosen": CLIPS, "classes": CLASSES}
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
    folder = simulated(tmp_path / "pilot", {"visual": 0.5, "audible": 0.85, "none": 0.5}, primary=[PRIMARY])
    answers = read(folder)
    assert answers.planned == [Comparison(**PRIMARY)]
    assert not answers.excluded and len(answers.counted) == 40 * 24
    summary = summarise(answers.counted).set_index(["condition", "clips"])
    for condition, expected in (("visual/lrp", 0.5), ("audible/lrp", 0.85), ("none", 0.5)):
        row = summary.loc[condition, "all"]
        assert row["correct_low"] < expected < row["correct_high"] and row["participants"] == 40
        assert summary.loc[condition, "right"]["answers"] + summary.loc[condition, "wrong"]["answers"] == row["answers"]
    table = compare(answers.counted, answers.planned)
    guesses = table.query("measure == 'correct' and clips == 'all'").set_index(["one", "other"])
    heard = guesses.loc["audible/lrp", "visual/lrp"]
    assert heard["role"] == "primary" and heard["p_holm"] == heard["p"] < 1e-5
    assert heard["low"] < 0.35 < heard["high"] and heard["d_z"] > 0.8
    assert guesses.loc["none", "visual/lrp"]["p_holm"] > 0.05
    ratings = table.query("measure == 'rating'")
    assert len(ratings) == 3 and (ratings["p_holm"] > 0.01).all()
    assert np.isnan(summary.loc["none", "all"]["rating"]) and 2 < summary.loc["visual/lrp", "all"]["rating"] < 4
    assert (summary["seconds"] == 5).all()


def test_means_are_of_participants(tmp_path):
    counted = read(simulated(tmp_path / "pilot", {"visual": 0.4, "audible": 0.7, "none": 0.5}, people=7)).counted
    own = {
        name: part.groupby("participant")["correct"].mean().to_numpy() for name, part in counted.groupby("condition")
    }
    summary = summarise(counted).query("clips == 'all'").set_index("condition")
    for name, values in own.items():
        assert summary.loc[name, "correct"] == pytest.approx(values.mean())
        part = counted[counted["condition"] == name]
        low, high = estimate(*(part[column].to_numpy() for column in ("correct", "participant", "clip"))).interval
        ends = (max(low, 0), min(high, 1))
        assert tuple(summary.loc[name, ["correct_low", "correct_high"]]) == pytest.approx(ends)
    row = compare(counted).query("measure == 'correct' and clips == 'all' and one == 'audible/lrp' and other == 'none'")
    expected = stats.ttest_rel(own["audible/lrp"], own["none"])
    difference = own["audible/lrp"] - own["none"]
    assert row["p_by_participants"].item() == pytest.approx(expected.pvalue) and row["p"].item() >= expected.pvalue
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
    """All browsers say 5 s. The first is right, the second is wrong; for the third, the server has kept no time."""
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


@pytest.mark.slow
def test_a_study_of_an_earlier_version_is_analysed_and_continued(tmp_path):
    """It names no primary comparison either."""
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 4, hasty=(2,))
    with closing(sqlite3.connect(folder / "answers.sqlite")) as connection, connection:
        connection.execute("DROP TABLE handed_out")  # which it did not have
    answers = read(folder)
    assert set(answers.excluded) == {2} and (answers.table["seconds"] == answers.table["browser_seconds"]).all()
    assert answers.planned == [] and set(compare(answers.counted)["role"]) == {"exploratory"}
    write(folder)
    page = (folder / "report.html").read_text()
    assert "No primary comparison was named before anybody answered" in page and "nothing is confirmed" in page
    store = Store(folder / "answers.sqlite")
    store.hand_out(store.join()[0], 0)
    assert store.handed_out()["participant"].tolist() == [4]


def test_where_everybody_is_excluded_a_sentence_says_so(tmp_path, monkeypatch):
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 2, hasty=(0, 1))
    said = run_program("study", f"results={folder}")
    assert "none that count: all 2 participants are excluded; participant 0 took less than 1 s" in said
    assert len(pd.read_csv(folder / "answers.csv")) == 2 * 29


@pytest.mark.slow
def test_the_program_writes_tables_a_figure_and_a_page(tmp_path, monkeypatch, capsys):
    folder = simulated(
        tmp_path / "pilot", {"visual": 0.4, "audible": 0.9, "none": 0.5}, 9, careless=(2,), primary=[PRIMARY]
    )
    monkeypatch.chdir(tmp_path)
    assert run_program("study", "results=pilot") == ""
    assert len(pd.read_csv(folder / "answers.csv")) == 9 * 29
    assert set(pd.read_csv(folder / "summary.csv")["clips"]) == {"all", "right", "wrong"}
    comparisons = pd.read_csv(folder / "comparisons.csv")
    assert {"p", "p_holm", "d_z", "p_by_participants", "p_by_clips"} <= set(comparisons.columns)
    assert comparisons["role"].value_counts().to_dict() == {"primary": 1, "exploratory": 11}
    page = (folder / "report.html").read_text()
    assert "9, of whom 1 are excluded" in page and "participant 2: failed" in page and "audible/lrp" in page
    first, second, third = (
        page.rindex(f">{title}<") for title in ("Primary comparison", "By condition", "Exploratory")
    )
    said = "Compared: audible/lrp against visual/lrp, by correct guesses of all clips."
    assert first < page.index(said) < second < third and "p_holm" not in page[first:second]
    assert (folder / "study.png").read_bytes()[:4] == b"\x89PNG" and "Report: " in capsys.readouterr().out
    assert (
        run_program("study", "effect=0.5") == ""
        and "40 participants, each of whom judges 20 clips" in capsys.readouterr().out
    )
    assert not list(tmp_path.glob("*.log"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "results has no value; set it with results=…, or plan a study with effect=0.5."),
        (["results=nowhere"], "nowhere is not a folder; name the folder of a study"),
        (["effect=0"], "effect=0 is not a number from 0.001 to 5 or null: it is Cohen's d_z"),
        (["effect=0.5", "results=pilot"], "results=… analyses a study, and effect=… plans one; give one of the two."),
        (["effect=0.5", "comparisons=0"], "comparisons=0 is not a whole number of 1 or more"),
        (["effect=0.5", "clips=1"], "clips=1 is not a whole number of 2 or more"),
        (["effect=0.5", "clip_effect=0"], "clip_effect=0 is not a number from 0.001 to 100 or null"),
        (["effect=0.5", "clip_effect=0.3"], "clips=20 are too few: with clip_effect=0.3, no number of participants"),
        (["effect=0.5", "power=2"], "power=2 is not a number from 0.001 to 0.999"),
        (["result=x"], "result is not an option (did you mean results?); --help lists them."),
    ],
)
def test_mistakes_end_in_a_sentence(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = run_program("study", *options)
    assert message in said and "\n" not in said


@pytest.mark.slow
def test_a_planned_comparison_that_nobody_met_is_said_to_be_open(tmp_path):
    """The plan names a condition that is not in the study, so that no participant has met it."""
    primary = [PRIMARY, PRIMARY | {"other": "both/lrp"}]
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 6, primary=primary)
    write(folder)
    page = (folder / "report.html").read_text()
    assert "Some comparisons cannot be tested yet: fewer than two participants met both conditions." in page
    assert "audible/lrp against visual/lrp, by correct guesses of all clips; audible/lrp against both/lrp" in page


@pytest.mark.parametrize(
    "primary", [[{"one": "a"}], [PRIMARY | {"measure": "love"}], [PRIMARY | {"other": "audible/lrp"}], 3]
)
def test_a_damaged_plan_ends_in_a_sentence(tmp_path, primary):
    folder = simulated(tmp_path / "pilot", dict.fromkeys(("visual", "audible", "none"), 0.6), 2, primary=primary)
    with pytest.raises(Mistake, match=r"study\.json is damaged"):
        read(folder)


def test_a_study_that_nobody_took_part_in_is_no_result(tmp_path):
    folder = simulated(tmp_path / "pilot", {}, people=0)
    with pytest.raises(Mistake, match="has no answers yet"):
        read(folder)


def test_answers_of_another_study_are_not_analysed(tmp_path):
    folder = simulated(tmp_path / "study", {"visual": 0.5, "audible": 0.5, "none": 0.5}, people=2)
    manifest = json.loads((folder / "study.json").read_text())
    for conditions, is_own in (([condition.name for condition in CONDITIONS], True), (["visual/lrp", "none"], False)):
        manifest["asked"]["conditions"] = conditions
        (folder / "study.json").write_text(json.dumps(manifest))
        if is_own:
            assert not read(folder).table.empty
            continue
        with pytest.raises(Mistake, match=r"has answers under audible/lrp, which the study\.json .*another study"):
            read(folder)
