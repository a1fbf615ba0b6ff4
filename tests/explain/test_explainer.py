from itertools import count

import pytest

from src.explain import explainer


def test_timed_is_between_two_looks_at_the_clock(monkeypatch):
    ticks = count(10.0, 2.5)
    monkeypatch.setattr(explainer.time, "perf_counter", lambda: next(ticks))
    assert explainer.timed(lambda: "found") == ("found", pytest.approx(2.5))
