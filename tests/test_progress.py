"""How far long work is, where no bar is drawn."""

import logging

import pytest

from auscult import progress
from auscult.progress import duration, tracked


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as a test says; to begin with, none."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_a_line_a_minute_says_what_is_left(clock, caplog):
    """Of 20 steps of 25 s each, after the third, the fifth and so on: a minute lies between two lines."""
    with caplog.at_level(logging.INFO):
        for _ in tracked(range(20), "drawing clips", 20):
            clock[0] += 25
    assert caplog.messages[:2] == [
        "drawing clips: 3 of 20, about 7 min left",
        "drawing clips: 6 of 20, about 6 min left",
    ]
    assert len(caplog.messages) == 6


def test_what_is_soon_done_says_nothing(clock, caplog):
    with caplog.at_level(logging.INFO):
        assert list(tracked("abc", "drawing clips", 3)) == ["a", "b", "c"]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "10 s"),
        (44, "40 s"),
        (59, "60 s"),
        (95, "2 min"),
        (3540, "59 min"),
        (3700, "1 h 2 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_an_estimate_is_no_more_exact_than_it_is(seconds, words):
    assert duration(seconds) == words
