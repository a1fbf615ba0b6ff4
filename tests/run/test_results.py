"""What a run says of its test."""

import numpy as np
import pytest

from auscult.run.results import warn_of_one_answer


@pytest.mark.parametrize(
    ("kind", "labels", "read", "is_said"),
    [
        ("classes", [0, 1, 2], [[0.45, 0.39, 0.16]] * 3, True),
        ("classes", [0, 1, 2], [[0.45, 0.39, 0.16]] * 2 + [[0.3, 0.4, 0.3]], False),
        ("classes", [0, 0, 0], [[0.45, 0.39, 0.16]] * 3, False),  # all right
        ("tags", [[0, 1], [1, 0], [1, 1]], [[0.49, 0.51], [0.491, 0.511], [0.49, 0.512]], True),
        ("tags", [[0, 1], [1, 0], [1, 1]], [[0.49, 0.51], [0.6, 0.511], [0.49, 0.512]], False),
        ("number", [1.0, 50.0, 99.0], [[40.0], [40.5], [41.0]], True),
        ("number", [1.0, 50.0, 99.0], [[30.0], [40.5], [51.0]], False),
    ],
)
def test_one_answer_for_all_clips_is_said(kind, labels, read, is_said, caplog):
    warn_of_one_answer(np.array(labels), np.array(read), kind, 16)
    assert ("the same answer for all 3 test clips: in 16 steps it has learnt nothing" in caplog.text) == is_said
