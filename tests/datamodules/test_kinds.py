"""Tags and numbers: what cells mean, and folds that spread them."""

import logging
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.datamodules.clips import Clip
from auscult.datamodules.folds import split
from auscult.datamodules.kinds import Number, Tags, kind_of
from auscult.mistake import Mistake

TAGS, AGE = Tags({"label": "tags"}), Number({"label": "age", "low": 3, "high": 110})


def tagged(cell: str, speaker: str = "a", path: str = "a.wav") -> Clip:
    return Clip(path, speaker, {"tags": cell})


def aged(cell: str, speaker: str, take: int = 0) -> Clip:
    return Clip(f"{speaker}/{take}.wav", speaker, {"age": cell})


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("dog;rain", ["dog", "rain"]),
        ("dog | rain |dog", ["dog", "rain"]),
        ("dog, rain", ["dog", "rain"]),
        ("cough, dry;speech", ["cough, dry", "speech"]),  # commas are part of names where semicolons part them
        ("dog", ["dog"]),
        (";", []),
    ],
)
def test_cells_name_tags(cell, names):
    assert TAGS.held(tagged(cell)) == names


def test_tags_become_rows_of_zeros_and_ones():
    clips = [tagged("dog;rain"), tagged("rain"), tagged("owl")]
    assert TAGS.names(clips) == ["dog", "owl", "rain"]
    assert TAGS.values(clips, ["dog", "rain"]).tolist() == [[1, 1], [0, 1], [0, 0]]  # others are ignored


@pytest.mark.parametrize("cell", ["34", "34.0", " 34 ", "3.4e1", "34,0"])
def test_cells_are_numbers(cell):
    assert AGE.number(aged(cell, "a")) == 34


@pytest.mark.parametrize("cell", ["1234", "2", "old", "", "nan", "inf", "34 years"])
def test_what_is_no_number_is_left_out_and_said(cell, caplog):
    clips = [aged(cell, "a"), aged("34", "b")]
    with caplog.at_level(logging.WARNING):
        kept = AGE.usable(clips)
    assert [clip.labels for clip in kept] == [{}, {"age": "34"}]
    assert "1 recordings are left out, as their age is no number from 3 to 110" in caplog.text


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,234", "1,234.5"], [1234, 1234.5]),  # thousands, and it is said
        (["1,234", "0,5"], [1.234, 0.5]),  # decimals, as another cell shows
        (["0,512", "0,250"], [0.512, 0.25]),
    ],
)
def test_commas_part_thousands_or_decimals(cells, numbers, caplog):
    kind = Number({"label": "age"})
    clips = [aged(cell, "a", take) for take, cell in enumerate(cells)]
    with caplog.at_level(logging.WARNING):
        kind.usable(clips)
    assert [kind.number(clip) for clip in clips] == numbers
    assert ("1,234 is 1234" in caplog.text) == (numbers[0] == 1234)


def test_a_column_without_numbers_is_named():
    with pytest.raises(
        Mistake, match=r"task\.label=age holds no number from 3 to 110: the recordings have old, young;"
    ):
        AGE.usable([aged("old", "a"), aged("young", "b")])


def test_cards_of_early_checkpoints_are_of_classes():
    assert kind_of({"label": "digit"}).values([Clip("a", "a", {"digit": "7"})], ["3", "7"]).tolist() == [1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=60))
def test_no_speaker_with_tags_is_in_two_splits(drawn):
    clips = [tagged(f"{one};{other}", f"s{speaker}", f"{n}.wav") for n, (speaker, one, other) in enumerate(drawn)]
    try:
        parts = split(TAGS.strata(clips), "tags", fold=0)
    except Mistake:  # too few speakers
        return
    speakers = [{clips[index].speaker for index in part} for part in parts]
    assert not (speakers[0] & speakers[1] or speakers[0] & speakers[2] or speakers[1] & speakers[2])
    assert sum(map(len, parts)) == len(clips)


def test_folds_spread_low_and_high_numbers():
    random = np.random.default_rng(0)
    ages = {f"s{n:02d}": float(age) for n, age in enumerate(random.uniform(10, 90, 45))}
    clips = [aged(f"{age:.0f}", speaker, take) for speaker, age in ages.items() for take in range(3)]
    strata = AGE.strata(clips)
    parts_of = defaultdict(set)
    for clip, stratum in zip(clips, strata, strict=True):
        parts_of[stratum.labels["age"]].add(clip.speaker)
    assert sorted(map(len, parts_of.values())) == [9] * 5
    tests = [split(strata, "age", fold=fold).test for fold in range(5)]
    means = [np.mean([ages[clips[index].speaker] for index in test]) for test in tests]
    assert np.ptp(means) < 12  # of numbers from 10 to 90; groups of nine at random differ by about twice as much


def test_few_speakers_still_have_folds():
    clips = [aged(f"{20 + n}", f"s{n}", take) for n in range(6) for take in range(2)]
    assert all(len(part) for part in split(AGE.strata(clips), "age", fold=0))
