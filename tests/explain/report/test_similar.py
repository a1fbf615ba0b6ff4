import numpy as np

from auscult.explain.report.page import shown_rows
from auscult.explain.report.similar import most_similar
from tests.explain.small_results import COLUMNS, ROWS, clip, small_results, small_view


def test_the_same_relevance_elsewhere_is_similar(tmp_path):
    """Clips 0 and 1 have the same relevance at another time, 2 has the opposite, 3 another row, 4 none."""
    relevance = np.zeros((5, ROWS, COLUMNS))
    relevance[0, 1, 2:4], relevance[1, 1, 5:7], relevance[2, 1, 2:4], relevance[3, 3, 2:4] = 1, 1, -1, 1
    waveforms = [clip(0.2), clip(0.5), clip(0.2), clip(0.2), clip(0.2)]
    results = small_results(tmp_path, relevance, [0] * 5, [[1.0]] * 5, ["yes"], waveforms)
    found = most_similar(results, small_view(), [0, 1, 2, 3, 4])
    assert found == {0: [1], 1: [0], 2: [], 3: [], 4: []}
    assert most_similar(results, small_view(), []) == {}


def test_as_many_clips_are_shown_as_were_asked_for(tmp_path):
    relevance = np.ones((8, ROWS, COLUMNS))
    results = small_results(tmp_path, relevance, [0, 1] * 4, [[1.0, 0.0]] * 8, ["yes", "no"])
    for clips, standing_out, shown in ((5, {0, 1}, 5), (0, {3}, 1), (0, set(), 0), (1, {0, 1}, 3), (20, {2}, 8)):
        rows = shown_rows(results, clips, standing_out)
        assert standing_out <= rows and abs(len(rows) - shown) <= (clips == 1), clips
