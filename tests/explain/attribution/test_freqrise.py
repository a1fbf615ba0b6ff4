"""FreqRISE against its definition, mask by mask and coefficient by coefficient; and that RISE is another estimate."""

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from scipy.stats import spearmanr
from torch import nn

from auscult.explain.attribution.freqrise import FreqRISE
from auscult.explain.attribution.rise import RISE
from auscult.explain.domain.domains import Frequency, Input, Time, TimeFrequency
from auscult.explain.options import check_masked, check_question
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import NormalizedWaveform
from auscult.modules.model import Model
from auscult.program.conf import CONF
from tests.explain.attribution.test_attribution import chosen
from tests.explain.attribution.test_rise import Squares


def one_mask(generator: torch.Generator, sizes: tuple[int, ...], cells: int, keep: float) -> np.ndarray:
    """A mask by the formulas of linear interpolation and reflection, one value after the other."""
    counts = [min(cells, size) for size in sizes]
    grid = (torch.rand(1, 1, *counts, generator=generator) < keep).double().numpy()[0, 0]
    shifts = []
    for size in sizes:
        edge = min(cells // 2, size - 1)
        shifts.append(int(torch.randint(max(1, min(cells, 2 * edge)), (), generator=generator)) - edge)
    mask = np.empty(sizes)
    for index in np.ndindex(*sizes):
        value = 0.0
        corners = []
        for place, size, count, shift in zip(index, sizes, counts, shifts, strict=True):
            moved = place + shift
            moved = -moved if moved < 0 else moved
            moved = 2 * (size - 1) - moved if moved >= size else moved  # reflected at the last one
            cell = max((moved + 0.5) * count / size - 0.5, 0)  # in cells, between the middles of two
            low = min(int(cell), count - 1)
            corners.append(((low, 1 - (cell - low)), (min(low + 1, count - 1), cell - low)))
        for corner in np.ndindex(*[2] * len(sizes)):
            chosen = [pair[side] for pair, side in zip(corners, corner, strict=True)]
            value += grid[tuple(cell for cell, _ in chosen)] * np.prod([share for _, share in chosen])
        mask[index] = value
    return mask


def slow(weight: np.ndarray, clip: np.ndarray, target: int, masks: list[np.ndarray], keep: float, score: str):
    total = np.zeros(clip.shape)
    for mask in masks:
        energy = (weight * np.abs(clip * mask) ** 2).sum()
        logits = np.array([energy, 0.0])
        scores = np.exp(logits) / np.exp(logits).sum() if score == "probability" else logits
        total += scores[target] * mask
    total /= len(masks) * keep
    return (total - total.min()) / np.ptp(total) if np.ptp(total) else np.zeros(clip.shape)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("shape, cells", [((61,), 9), ((40,), 200), ((14, 23), 6), ((30, 5), 8)])
def test_is_the_mean_score_under_masks_that_keep_a_coefficient(shape, cells, score):
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(3, 1, *shape, generator=generator, dtype=torch.complex64)
    weight = 0.1 * torch.randn(shape, generator=generator)
    target = torch.tensor([0, 1, 0])
    found = FreqRISE(masks=30, cells=cells, keep=0.3, score=score, seed=5)(Squares(weight), input, target).numpy()
    again = torch.Generator().manual_seed(5)
    masks = [one_mask(again, shape, cells, 0.3) for _ in range(30)]
    for clip in range(3):
        expected = slow(weight.numpy(), input[clip, 0].numpy(), int(target[clip]), masks, 0.3, score)
        np.testing.assert_allclose(found[clip, 0], expected, atol=2e-5)


def test_the_defaults_are_the_published_ones():
    node = {name: value for name, value in chosen("freqrise").items() if name not in ("name", "_target_")}
    assert node == {"masks": 3000, "cells": 200, "keep": 0.5, "score": "logit", "seed": 0}
    ours = FreqRISE()
    assert {name: getattr(ours, name) for name in node} == node


class Constant(nn.Module):
    """Says the same of everything, (B, 2)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1.5, 0.5]]).expand(len(input), 2)


def test_a_network_that_hears_nothing_parts_them():
    """f is constant: RISE's mean over what is kept is f everywhere, FreqRISE's f times the share that chance kept."""
    input, target = torch.ones(1, 1, 80, dtype=torch.complex64), torch.tensor([0])
    attribution = FreqRISE(masks=50, cells=20, seed=3)
    kept = torch.cat(list(attribution.draw(1, 80))).double().mean(0)[0]  # (80,)
    expected = (kept - kept.min()) / (kept.max() - kept.min())
    found = attribution(Constant(), input, target)[0, 0]
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert found.max() == 1 and expected.std() > 0.1
    assert RISE(masks=50, cells=20, seed=3)(Constant(), input, target).abs().max() < 1e-6


def test_a_relevant_coefficient_has_another_place_among_the_others(monkeypatch):
    """Two masks, (1, 1, 0) and (0, 1, 1), with scores 1 and 3: 1 / (2 p) (1, 4, 3) against (1, 2, 3) per coverage."""
    masks = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])

    class Told(nn.Module):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # log-probabilities that softmax turns into 1/4, 3/4
            share = 0.25 + 0.5 * input.real[:, 0, 2:]
            return torch.cat([share.log(), (1 - share).log()], 1)

    input, target = torch.ones(1, 1, 3, dtype=torch.complex64), torch.tensor([0])
    for kind, name in ((FreqRISE, "draw"), (RISE, "_draw")):
        monkeypatch.setattr(kind, name, lambda *_, like=None: iter(masks.view(2, 1, 1, 3)))
    ours = FreqRISE(masks=2, score="probability")(Told(), input, target)[0, 0]
    torch.testing.assert_close(ours, torch.tensor([0.0, 1.0, 2 / 3]))  # (1/4, 1, 3/4), from 0 to 1
    rise = RISE(masks=2)(Told(), input, target)[0, 0]
    torch.testing.assert_close(rise, torch.tensor([0.25, 0.5, 0.75]) - 0.5)
    assert spearmanr(ours, rise).statistic == pytest.approx(0.5)  # ranks 1 3 2 against 1 2 3


def test_only_frequencies_can_be_masked():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(400, 2)).eval()
    model = Model(network, front_end=NormalizedWaveform(), classes=["a", "b"], sample_rate=400).eval()
    waveform, target = torch.randn(2, 1, 400), torch.tensor([0, 1])
    attribution = FreqRISE(masks=5)
    for domain in (Input(model, 400), Time(model, 400)):
        with pytest.raises(Mistake, match=r"add domain=frequency or domain=time_frequency"):
            domain.relevance(attribution, waveform, domain.model.front_end(waveform), target)
    for domain in (Frequency(model, 400), TimeFrequency(model, 400, 0.1, 0.025)):
        input = domain.model.front_end(waveform)
        relevance, apart = domain.relevance(attribution, waveform, input, target)
        assert relevance.shape == input.shape and relevance.dtype == torch.float32 and not apart.any()
        assert relevance.amin(tuple(range(1, relevance.dim()))).tolist() == [0, 0]
        alone, _ = domain.relevance(attribution, waveform[1:], input[1:], target[1:])
        torch.testing.assert_close(relevance[1:], alone, atol=1e-5, rtol=1e-4)  # a clip does not depend on its batch


@pytest.mark.parametrize("options", [{"keep": 0}, {"keep": 1.5}, {"cells": 0}, {"masks": 0}, {"score": "loss"}])
def test_bad_options_are_named(options):
    with pytest.raises(Mistake, match=f"attribution.{next(iter(options))}="):
        FreqRISE(**options)


def test_a_benchmark_leaves_it_out_of_other_domains():
    """Each pair of a domain and an attribution is checked first: one that cannot be asked does not end the others."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        pair = compose("explain", ["attribution=freqrise", "domain=input", "checkpoint=a"])
        assert check_question(pair)["attribution"]["name"] == "freqrise"
    with pytest.raises(Mistake, match="freqrise masks frequencies: add domain=frequency"):
        check_masked(check_question(pair))
