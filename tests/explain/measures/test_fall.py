"""How far numbers and tags fall as features are removed, worked out by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auscult.explain.measures.fall import Fall, areas, summarise
from auscult.explain.measures.fill import Silence
from auscult.explain.measures.measure import Clips
from auscult.explain.measures.removal import Perturbation
from auscult.intervals import SpeakerIntervals
from auscult.modules.model import Model

WEIGHT = torch.tensor([[1.0, 2.0, -3.0, 4.0]])
FRACTIONS = [0, 0.25, 0.5, 1.0]


def measured(kind: str, is_labelled: bool = True) -> tuple[Fall, dict[str, torch.Tensor]]:
    """Of the input (1, 1, 1, 1), whose number is 4; by relevance 4, 2, 1, -3 go."""
    network = nn.Linear(4, 1, bias=False)
    network.weight = nn.Parameter(WEIGHT)
    model = Model(network, classes=["age"], sample_rate=1000, kind=kind).eval()
    removal = Perturbation(FRACTIONS, [], Silence(torch.zeros(1, 4), list))
    input = torch.ones(1, 4)
    explained: Any = SimpleNamespace(
        input=input, relevance=WEIGHT * input, logits=network(input).detach(), target=torch.zeros(1, dtype=torch.int64)
    )
    fall = Fall(removal, model, is_labelled)
    values = fall(Clips(input[:, None], torch.tensor([3.0]), torch.tensor([0]), np.array([0]), explained))
    return fall, values


def test_numbers_fall_by_what_is_removed():
    fall, values = measured("number")
    assert fall.perturbation.orders == ("relevance", "least relevant", "amplitude")
    # what is left: 4, 0 (without 4), -2 (without 4 and 2), 0; the reverse: 4, 7, 6, 0; equal amplitudes go by place
    left = torch.tensor([[4.0, 0, -2, 0], [4, 7, 6, 0], [4, 3, 1, 0]])
    torch.testing.assert_close(values["perturbation/fall"][0], 4 - left)
    torch.testing.assert_close(values["perturbation/error"][0], (left - 3).abs())


def test_tags_fall_in_probability_and_have_no_error():
    _, values = measured("tags", is_labelled=False)
    left = torch.tensor([4.0, 0, -2, 0]).sigmoid()
    torch.testing.assert_close(values["perturbation/fall"][0, 0], torch.tensor(4.0).sigmoid() - left)
    assert list(values) == ["perturbation/fall"]


def test_areas_compare_relevance_with_each_control():
    fall, _ = measured("number")
    curves = {"fall": np.array([[[0, 3, 3, 3.0]] * 1 + [[0, 1, 1, 1]] + [[0, 2, 2, 2]]] * 4)}  # (4, 3, 4)
    curves["fall"] += np.arange(4)[:, None, None] * np.array([0, 0.1, 0.1, 0.1])
    intervals = SpeakerIntervals(["a", "b", "c", "d"])
    metrics = areas(fall.perturbation, curves, intervals)
    assert metrics["perturbation/fall_area/relevance"] == pytest.approx(3.15)
    assert metrics["perturbation/fall_area/relevance_minus_least_relevant"] == pytest.approx(2)
    assert metrics["perturbation/fall_area/relevance_minus_amplitude"] == pytest.approx(1)
    table = summarise(fall.perturbation, curves, intervals)
    relevance = table[table["order"] == "relevance"]
    assert relevance["fall"].tolist() == pytest.approx([0, 3.15, 3.15, 3.15])
    assert (relevance["fall_low"][1:] < 3.15).all() and (relevance["fall_high"][1:] > 3.15).all()
