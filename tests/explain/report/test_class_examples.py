import numpy as np
import pandas as pd
import pytest

from auscult.explain.relevance.results import Results
from auscult.explain.report import class_examples as typical
from auscult.explain.report.class_averages import class_averages
from tests.explain.small_results import COLUMNS, RATE, ROWS, clip, small_results, small_view, wave_view

CLASSES = ["dog", "rain", "rooster"]


def bins(*values: float) -> np.ndarray:
    """Relevance (4, 10) of the first rows, in column 0."""
    relevance = np.zeros((ROWS, COLUMNS))
    relevance[: len(values), 0] = values
    return relevance


def some(tmp_path) -> Results:
    relevance = [
        bins(1, 0),
        bins(1, 1),
        bins(0, 1),
        bins(0, 0, 1),
        bins(1, 0, 0),
        bins(3, 4),
        bins(4, 3),
        bins(0, 0, 0, 1),
    ]
    label = [0, 0, 0, 0, 0, 1, 1, 2]
    right, doubtful, sure = [0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.05, 0.02, 0.93]
    probability = [right, right, right, doubtful, sure, [0.1, 0.9, 0], [0.1, 0.9, 0], right]
    return small_results(tmp_path, np.array(relevance), label, probability, CLASSES)


def test_most_and_least_like_the_mean_by_hand(tmp_path):
    results = some(tmp_path)
    found = typical.examples(results, small_view(), class_averages(results, small_view()))
    rows = {(example.label, example.kind): example.row for example in found}
    # dog's mean is (1, 0) + (1/2, 1/2) + (0, 1), over three; rain's two are as like it
    assert rows[0, "typical"] == 1 and rows[0, "surprising"] == 4
    assert rows[2, "surprising"] == 7 and (2, "typical") not in rows
    alike = {example.row: example.similarity for example in found}
    assert alike[1] == pytest.approx(1) and alike[4] == pytest.approx(1 / np.sqrt(2)) and np.isnan(alike[7])
    assert {example.remark(results) for example in found if example.label != 1} == {
        "most typical of dog",
        "most surprising of dog: taken for rooster with 93 %",
        "most surprising of rooster: taken for dog with 80 %",
    }


def test_where_none_is_wrong_the_one_least_like_the_others_surprises(tmp_path):
    relevance = np.array([bins(1, 1), bins(1, 1), bins(0, 0, 1), bins(1)])
    results = small_results(tmp_path, relevance, [0, 0, 0, 1], [[0.9, 0.1]] * 3 + [[0.1, 0.9]], ["dog", "rain"])
    found = typical.examples(results, small_view(), class_averages(results, small_view()))
    assert [(example.label, example.kind, example.row) for example in found] == [
        (0, "typical", 0),
        (0, "surprising", 2),
        (1, "typical", 3),  # alone, it does not surprise
    ]
    assert found[1].remark(results) == "most surprising of dog: recognised, but by other parts than most"


@pytest.mark.parametrize("kind", ["spectrogram", "waveform"])
def test_clips_are_compared_from_their_onsets(tmp_path, kind):
    onsets, relevance = [0.0, 0.3, 0.6], np.zeros((3, RATE))
    for row, onset in enumerate(onsets):
        start = round(RATE * onset) + (100 if row == 2 else 0)  # the last one's is later in the sound
        relevance[row, start : start + 100] = 1.0
    view = wave_view()
    if kind == "spectrogram":
        relevance, view = np.repeat(relevance.reshape(3, 1, 10, 100).mean(-1), ROWS, axis=1), small_view()
    waveforms = [clip(onset) for onset in onsets]
    results = small_results(tmp_path, relevance, [0] * 3, [[1.0, 0.0]] * 3, ["dog", "rain"], waveforms)
    alike = typical.similarities(results, view, class_averages(results, view))
    # the mean of two of one kind and one of another, which have nothing in common
    assert alike == pytest.approx(np.array([2, 2, 1]) / np.sqrt(5), abs=0.05 if kind == "waveform" else 1e-6)


def test_without_relevance_nothing_is_alike(tmp_path):
    results = small_results(tmp_path, np.zeros((2, ROWS, COLUMNS)), [0, 0], [[1.0, 0.0]] * 2, ["dog", "rain"])
    assert typical.similarities(results, small_view(), class_averages(results, small_view())).tolist() == [0, 0]


def test_the_table_names_the_clips(tmp_path):
    results = some(tmp_path)
    found = typical.examples(results, small_view(), class_averages(results, small_view()))
    typical.write_typical(tmp_path / "typical.csv", found, results)
    table = pd.read_csv(tmp_path / "typical.csv")
    assert list(table.columns) == ["class", "kind", "path", "prediction", "probability", "similarity"]
    rows = table.set_index(["class", "kind"])
    assert rows.loc[("dog", "surprising"), ["path", "prediction"]].tolist() == ["4.wav", "rooster"]
    assert rows.loc[("dog", "surprising"), "probability"] == pytest.approx(0.93)
    assert np.isnan(rows.loc[("rooster", "surprising"), "similarity"])


def test_of_many_classes_those_with_most_mistakes_are_shown(tmp_path):
    results = some(tmp_path)
    found = typical.examples(results, small_view(), class_averages(results, small_view()))
    assert {example.label for example in typical.shown(found, results, most=1)} == {0}
    assert {example.label for example in typical.shown(found, results, most=2)} == {0, 2}
    assert typical.shown(found, results, most=3) == found
