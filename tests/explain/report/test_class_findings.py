import numpy as np
import pytest

from auscult.explain.report.class_averages import ClassAverages
from auscult.explain.report.class_findings import band, class_findings, confusions, interval, shortest_half
from tests.explain.small_results import FREQUENCIES, small_results

TIMES = np.arange(40) * 0.1 - 0.03  # columns of 0.1 s


def averages(rows: list[float], columns: list[float], right: int = 30) -> ClassAverages:
    clips, nothing = np.array([[right, 2]]), np.zeros((1, 2, 4, 40))
    by_column = np.pad(np.array(columns), (0, 40 - len(columns)))
    return ClassAverages(clips, nothing, TIMES, np.zeros(32), nothing, FREQUENCIES, np.array([rows]), by_column[None])


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


def test_where_relevance_lies_by_hand():
    # rows 200 Hz alone: from halfway to 100 to halfway to 400; columns 2 and 3: from 0.17 - 0.05 to 0.27 + 0.05 s
    found = class_findings(averages([1, 3, 1, 0], [0, 1, 2, 2, 2, 1]), 0, "dog")
    where = "lies between 150 and 300 Hz, and half of it lies between 0.12 and 0.32 s after the onset."
    assert found == f"dog: half of the positive relevance of 30 recognised clips {where}"


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


def test_few_clips():
    assert "of 1 recognised clip lies" in class_findings(averages([1, 0, 0, 0], [0, 1], right=1), 0, "dog")
    assert class_findings(averages([0] * 4, [0], right=0), 0, "dog") == "dog: none of its clips was recognised."
    none = "dog: there is no positive relevance of 2 recognised clips."
    assert class_findings(averages([0] * 4, [0], right=2), 0, "dog") == none


def test_what_wrong_clips_are_taken_for(tmp_path):
    said = [0, 1, 1, 2, *range(3, 9), 0]
    label = [0] * 10 + [1]
    names = [f"class {number}" for number in range(9)]
    results = small_results(tmp_path, np.ones((11, 4, 10)), label, np.eye(9)[said].tolist(), names)
    named = "class 1 (2), class 2 (1), class 3 (1), class 4 (1), class 5 (1), others (3)"
    assert confusions(results, 0) == f"Wrong clips were taken for {named}."
    assert confusions(results, 1) == "Wrong clips were taken for class 0 (1)."
    assert confusions(results, 2) == ""
