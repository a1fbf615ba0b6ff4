import math

import numpy as np
import pytest

from auscult.explain.report.class_averages import ClassAverages
from auscult.explain.report.class_findings import (
    Place,
    band,
    class_findings,
    confusions,
    headline,
    interval,
    places_of,
    range_of,
)
from auscult.explain.report.profiles import Half, Profiles, along_axes, half_of, shortest_half
from tests.explain.small_results import COLUMNS, FREQUENCIES, ROWS, small_results

TIMES = np.arange(40) * 0.1 - 0.03  # columns of 0.1 s


def profiles(shares: list[list[float]], places: np.ndarray = TIMES) -> Profiles:
    mass = np.zeros((len(shares), len(places)))
    for row, own in enumerate(shares):
        mass[row, : len(own)] = np.array(own) / (sum(own) or 1)
    return Profiles(places, mass, np.full(mass.shape, 1 / len(places)))


def said_of(tmp_path, rows: list[list[float]], columns: list[list[float]], said: list[int] | None = None) -> str:
    """What is said of the class dog, of whose clips these are profiles; each has a speaker of its own."""
    clips = len(rows)
    results = small_results(
        tmp_path, np.ones((clips, ROWS, COLUMNS)), [0] * clips, np.eye(2)[said or [0] * clips].tolist(), ["dog", "rain"]
    )
    nothing = np.zeros((2, 2, 4, 40))
    along = profiles(rows, FREQUENCIES), profiles(columns)
    averages = ClassAverages(np.zeros((2, 2)), nothing, TIMES, np.zeros(clips), nothing, FREQUENCIES, *along)
    return class_findings(places_of(averages, results, 0), results, 0)


@pytest.mark.parametrize(
    ("mass", "found"),
    [
        ([0, 0, 5, 0], (2, 2)),
        ([1, 1, 1, 1], (0, 1)),
        ([1, 2, 3, 4], (2, 3)),
        ([4, 0, 0, 4], (0, 0)),
        ([3, 0, 1, 3, 3], (3, 4)),
        ([3, 1, 0, 1, 3], (0, 1)),
        ([3, 0, 2, 0, 3], (0, 2)),
        ([0.1] * 10, (0, 4)),  # which do not add up to 0.5 exactly
    ],
)
def test_shortest_half_by_hand(mass, found):
    assert shortest_half(np.array(mass, float)) == found


def test_shortest_half_is_the_shortest():
    for seed in range(50):
        mass = np.random.default_rng(seed).exponential(size=12) ** 3
        pairs = [(first, last) for first in range(12) for last in range(first, 12)]
        holding = [pair for pair in pairs if mass[pair[0] : pair[1] + 1].sum() >= mass.sum() / 2]
        expected = min(holding, key=lambda pair: (pair[1] - pair[0], -mass[pair[0] : pair[1] + 1].sum()))
        assert shortest_half(mass) == expected
    with pytest.raises(ValueError, match="no mass"):
        shortest_half(np.zeros(3))


def test_where_relevance_lies_by_hand(tmp_path):
    # rows 200 Hz alone: from halfway to 100 to halfway to 400; columns 2 and 3: from 0.17 - 0.05 to 0.27 + 0.05 s
    found = said_of(tmp_path, [[1, 3, 1, 0]], [[0, 1, 2, 2, 2, 1]])
    where = "lies between 150 and 300 Hz (too few sources to say how sure that is)"
    assert found.startswith(
        f"Half of what speaks for it {where}; in time, half of it lies between 0.12 and 0.32 s after"
    )


def test_a_range_is_measured_on_speakers_that_did_not_choose_it():
    """By hand: of four speakers, three have all in cell 1, the last has all in cell 3."""
    half = half_of(profiles([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], FREQUENCIES), list("abcd"))
    assert half is not None and (half.first, half.last, half.share, half.even) == (1, 1, 0.75, 0.25)
    assert half.low < 0.25 < half.high and not half.is_sure, "one in four is no certainty"
    alone = half_of(profiles([[0, 1, 0, 0], [0, 0, 1, 0]], FREQUENCIES), ["a", "a"])
    assert alone is not None and math.isnan(alone.share) and math.isnan(alone.low), "no other speaker can be asked"
    silent = half_of(profiles([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], FREQUENCIES), list("abc"))
    assert silent is not None and silent.share == 1, "clips without positive relevance say nothing about places"
    assert half_of(profiles([[0, 0, 0, 0]], FREQUENCIES), ["a"]) is None


def test_even_relevance_is_uncertain_and_concentrated_relevance_is_not():
    """Ranges of noise hold no more than even relevance for other speakers; on the clips that chose them they would."""
    random, speakers = np.random.default_rng(0), [f"{row % 8}" for row in range(80)]
    noise = random.exponential(size=(80, 40)) ** 4
    half = half_of(profiles(noise.tolist()), speakers)
    assert half is not None and not half.is_sure and abs(half.share - half.even) < 0.1
    peak = noise / noise.sum(1, keepdims=True)
    peak[:, 5:8] += 1
    half = half_of(profiles(peak.tolist()), speakers)
    assert (
        half is not None
        and (half.first, half.last) in ((5, 6), (6, 7), (5, 7))
        and half.is_sure
        and half.low > 2 * half.even
    )


@pytest.mark.parametrize("seed", range(3))
def test_words_of_different_lengths_are_each_compared_with_their_own(seed):
    """Relevance that is even over words of 3 and of 6 columns says nothing, although the short ones share a place."""
    random, lengths = np.random.default_rng(seed), np.array([3, 6] * 10)
    room = np.arange(40) < lengths[:, None]
    mass = random.uniform(0.8, 1.2, (20, 40)) * room
    half = half_of(
        Profiles(TIMES, mass / mass.sum(1, keepdims=True), room / room.sum(1, keepdims=True)),
        [f"{row // 2}" for row in range(20)],
    )
    assert half is not None and abs(half.share - half.even) < 0.03 and not half.is_sure
    assert half.even == pytest.approx(0.5), "two columns are 2/3 of the short words and 1/3 of the long ones"


def test_what_is_uncertain_is_said_so(tmp_path):
    spread = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]
    found = said_of(tmp_path, spread, [[1.0, 0.1]] * 2 + [[1.0, 0.3]] * 3)
    assert (
        "between 50 and 150 Hz (for other sources " in found
        and ", uncertain: evenly spread relevance has 35 %)" in found
    )
    assert found.count("uncertain") == 1


def test_profiles_of_one_axis_are_of_cells_with_their_signs():
    relevance = np.array([1.0, -1.0, 3.0, 1.0, -5.0, 1.0, 2.0])
    assert along_axes(relevance, 2)[0].tolist() == [0.0, 4.0, 0.0, 2.0]
    rows, columns = along_axes(np.array([[1.0, -2.0], [3.0, 4.0]]), 2)
    assert rows.tolist() == [1.0, 7.0] and columns.tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((0, 5), "lies in the first 0.52 s after the onset"),
        ((1, 5), "lies in the first 0.52 s after the onset"),  # the onset is in column 0 or at its end
        ((2, 2), "lies between 0.12 and 0.22 s after the onset"),
        ((3, 30), "is spread over all the time"),
    ],
)
def test_intervals(columns, words):
    assert interval(columns, TIMES) == words


def test_windows_reach_before_the_onset():
    assert interval((0, 0), np.arange(70) * 0.0143 - 0.03) == "lies just before the onset"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((0, 0), "lies between 50 and 150 Hz"),
        ((3, 3), "lies between 600 and 1\N{NO-BREAK SPACE}000 Hz"),
        ((1, 3), "is spread over all frequencies"),
    ],
)
def test_bands(rows, words):
    assert band(rows, FREQUENCIES) == words


def test_bands_do_not_go_below_zero():
    assert band((0, 9), np.arange(227) * 8000 / 455) == "lies between 0 and 170 Hz"


def test_few_clips(tmp_path):
    assert "(too few sources to say how sure that is)" in said_of(tmp_path, [[1, 0, 0, 0]], [[0, 1]])
    assert said_of(tmp_path, [[1, 0, 0, 0]], [[0, 1]], said=[1]) == "None of its clips was recognised."
    assert said_of(tmp_path, [[0] * 4] * 2, [[0]] * 2) == "There is no positive relevance."


def test_what_wrong_clips_are_taken_for(tmp_path):
    said = [0, 1, 1, 2, *range(3, 9), 0]
    label = [0] * 10 + [1]
    names = [f"class {number}" for number in range(9)]
    results = small_results(tmp_path, np.ones((11, 4, 10)), label, np.eye(9)[said].tolist(), names)
    named = "class 1 (2), class 2 (1), class 3 (1), class 4 (1), class 5 (1), others (3)"
    assert confusions(results, 0) == f"Wrong clips were taken for {named}."
    assert confusions(results, 1) == "Wrong clips were taken for class 0 (1)."
    assert confusions(results, 2) == ""


def place(start: float, stop: float, is_sure: bool = True, unit: str = "Hz", words: str = "lies there") -> Place:
    return Place(unit, start, stop, words, Half(0, 1, 0.6, 0.5, 0.7, 0.3, is_sure))


def test_the_headline_names_where_what_speaks_for_each_class_lies():
    low, high, late = place(-3, 548), place(1203, 2500, False), place(0.12, 0.25, unit="s")
    spread = place(0, 4000, words="is spread over all frequencies")
    assert headline({"male": [low, late], "female": [high]}) == (
        "The network listens most at 0 to 550 Hz for male and at 1\xa0200 to 2\xa0500 Hz for female (uncertain):"
        " half of what speaks for each lies there, by relevance."
    )
    one = headline({"male": [low], "female": [spread], "child": []})
    assert "listens most at 0 to 550 Hz for male: half of what speaks for it lies" in one
    assert "at 0.12 to 0.25 s after the onset for one: half" in headline({"one": [spread, late]})
    assert "at the time just before the onset for a" in headline({"a": [place(-0.02, -0.01, unit="s")]})
    assert headline({"male": [spread]}) == headline({}) == ""


def test_of_many_classes_the_headline_names_two_that_are_sure_and_differ():
    low, high, late = place(10, 550), place(1203, 2500), place(0.12, 0.25, unit="s")
    doubtful = place(3000, 3500, False)
    assert headline({"a": [high], "b": [low], "c": [doubtful], "d": [place(10, 600)], "e": [late], "f": []}) == (
        "Of 5 classes, the network listens lowest for b (10 to 550 Hz) and highest for a (1\xa0200 to 2\xa0500 Hz):"
        " half of what speaks for each lies there, by relevance."
    )
    times = {
        name: [place(start, start + 0.1, unit="s")] for name, start in zip("wxyz", (0, 0.1, 0.2, 0.3), strict=True)
    }
    assert "earliest for w (0 to 0.1 s after the onset) and latest for z (0.3 to 0.4 s" in headline(times)
    assert headline({name: [low] for name in "abcde"}) == "", "equal ranges are not called different"
    assert headline({name: [doubtful] for name in "abcde"}) == ""


def test_a_range_within_one_value_is_that_value():
    half = Half(3, 3, 0.9, 0.8, 1.0, 0.5, True)
    assert range_of(Place("Hz", 496.0, 504.0, "", half)) == "500 Hz"
    assert range_of(Place("Hz", 150.0, 300.0, "", half)) == "150 to 300 Hz"
