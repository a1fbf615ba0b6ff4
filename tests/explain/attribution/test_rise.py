"""RISE against its definition, and what its masks are to be."""

import numpy as np
import pytest
import torch
from torch import nn

from auscult.explain.attribution.rise import RISE
from auscult.mistake import Mistake


class Squares(nn.Module):
    """Two logits, of which the first is a weighted energy of the input (B, 1, ...)."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        energy = (self.weight * input.abs().square()).flatten(1).sum(1)
        return torch.stack([energy, torch.zeros_like(energy)], 1)


def masks_of(attribution: RISE, shape: tuple[int, ...]) -> np.ndarray:
    return np.stack([mask[0, 0].numpy() for mask in attribution._draw(1, *shape, like=torch.zeros(()))])


@pytest.mark.parametrize("shape, cells", [((30,), 7), ((12, 20), 5), ((12, 20), [3, 20])])
def test_is_the_mean_probability_under_masks_that_keep_a_value(shape, cells):
    generator = torch.Generator().manual_seed(0)
    input, weight = torch.randn(3, 1, *shape, generator=generator), torch.randn(shape, generator=generator)
    attribution, target = RISE(masks=40, cells=cells, keep=0.3, baseline=0.5), torch.tensor([0, 1, 0])
    found = attribution(Squares(weight), input, target).numpy()
    masks = masks_of(attribution, shape)
    for clip in range(3):
        masked = 0.5 + masks * (input[clip, 0].numpy() - 0.5)  # (masks, ...)
        energy = (weight.numpy() * masked**2).reshape(40, -1).sum(1)
        probability = 1 / (1 + np.exp(-energy if target[clip] == 0 else energy))
        weighted = np.tensordot(probability, masks, 1) / masks.sum(0) - probability.mean()
        np.testing.assert_allclose(found[clip, 0], weighted, atol=1e-5)


@pytest.mark.parametrize("shape, cells", [((400,), 8), ((40, 60), 6), ((5, 300), 25)])
def test_masks_keep_their_share_everywhere(shape, cells):
    masks = masks_of(RISE(masks=2000, cells=cells, keep=0.25), shape)
    assert masks.shape == (2000, *shape) and masks.min() == 0 and masks.max() == pytest.approx(1)
    np.testing.assert_allclose(masks.mean(0), 0.25, atol=0.06)  # six standard errors


def test_finds_the_one_frequency_that_the_network_knows():
    input = torch.randn(2, 1, 101, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    input[..., 40] = 3
    weight = torch.zeros(101)
    weight[40] = 0.5
    relevance = RISE(masks=500, cells=101)(Squares(weight), input, torch.tensor([0, 0]))
    assert relevance.dtype == torch.float32
    assert relevance.argmax(-1).flatten().tolist() == [40, 40]


def test_a_clip_does_not_depend_on_its_batch():
    input, weight = torch.randn(4, 1, 50), torch.randn(50)
    target = torch.tensor([0, 1, 1, 0])
    attribution = RISE(masks=20, cells=5)
    whole = attribution(Squares(weight), input, target)
    alone = torch.cat([attribution(Squares(weight), input[i : i + 1], target[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(whole, alone)


@pytest.mark.parametrize("options", [{"keep": 0}, {"keep": 1}, {"cells": 0}, {"masks": 0}, {"cells": [4, 2.5]}])
def test_bad_options_are_named(options):
    with pytest.raises(Mistake, match=f"attribution.{next(iter(options))}="):
        RISE(**options)


def test_cells_of_other_dimensions_are_refused():
    with pytest.raises(Mistake, match="names 2 dimensions; the input has 1"):
        RISE(cells=[4, 4])(Squares(torch.ones(30)), torch.zeros(1, 1, 30), torch.tensor([0]))
