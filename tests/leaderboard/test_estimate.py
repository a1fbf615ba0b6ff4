"""How long a leaderboard will take."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auscult.explain.measures.checks import Checks
from auscult.explain.measures.energy import Energy
from auscult.leaderboard.estimate import CHANGED, DRAWING, OTHERS, forward_seconds, of_question


def question(measurements=(), perturbation=None) -> SimpleNamespace:
    return SimpleNamespace(measurements=measurements, perturbation=perturbation)


def test_what_a_clip_costs_by_hand():
    """20 clips of 1 s each to explain, 0.1 s per forward pass."""
    assert of_question(question(), 20, 1.0, 0.1) == pytest.approx(20 + 20 * OTHERS * 0.1 + DRAWING)
    removal = SimpleNamespace(orders=("relevance", "random"), fractions=(0.0, 0.1, 0.5))
    energy, checks = Energy.__new__(Energy), Checks.__new__(Checks)
    energy.fractions, checks.rows, checks.layers = (0.0, 0.5), np.arange(3), 9
    asked = question([energy, checks], removal)
    explanations, passes = 20 + 3 * (9 + CHANGED), 20 * (OTHERS + 6 + 4)
    assert of_question(asked, 20, 1.0, 0.1) == pytest.approx(explanations + 0.1 * passes + DRAWING)


def test_a_pass_is_timed_per_clip():
    asked = []

    class Slow(torch.nn.Module):
        def forward(self, waveform):
            asked.append(tuple(waveform.shape))
            return waveform.mean(-1)

    assert 0 < forward_seconds(Slow(), 100, clips=4) < 1
    assert asked == [(4, 1, 100)] * 2
