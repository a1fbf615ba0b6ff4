from itertools import count

import pytest
import torch

from auscult.explain.attribution import cost
from auscult.explain.attribution.gradients import IntegratedGradients
from auscult.modules.networks.audionet import AudioNet


def test_timed_is_between_two_looks_at_the_clock(monkeypatch):
    ticks = count(10.0, 2.5)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))
    assert cost.timed(lambda: "found") == ("found", pytest.approx(2.5))


def test_peak_is_the_most_that_is_held_at_once():
    def ask():
        first = torch.zeros(1000, 250)  # 1 MB each
        second = first + 1
        del first
        third = second * 2
        del second, third
        return torch.zeros(250, 100)

    assert cost.peak_megabytes(ask, torch.device("cpu")) == pytest.approx(2, rel=1e-3)


def test_steps_after_each_other_take_no_more_than_one():
    network, input, target = AudioNet(2).eval(), torch.randn(1, 1, 8000), torch.zeros(1, dtype=torch.int64)
    one, many = (
        cost.peak_megabytes(lambda steps=steps: IntegratedGradients(steps)(network, input, target), input.device)
        for steps in (1, 8)
    )
    assert 1 < one < many < 1.2 * one
