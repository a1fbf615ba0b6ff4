import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from torch import nn

from auscult.explain.domain.fourier import Fourier, ShortTimeFourier
from auscult.explain.measures.energy import curve_over_energy, energy_counts
from auscult.explain.measures.fill import Silence, Zero
from auscult.explain.measures.perturbation import ranks
from tests.explain.measures.test_metrics import OfSpectrum, draw, linear


def as_it_is(level: torch.Tensor) -> torch.Tensor:
    return level


def test_counts_worked_out_by_hand():
    level = torch.tensor([[3.0, 1.0, 0.0, -2.0, -2.0, 1.0]])  # energies 9, 1, 0, 4, 4, 1 of 19 in all
    fractions = [0, 0.4, 0.5, 0.75, 1]  # 0, 7.6, 9.5, 14.25, 19

    def counts(*order: int) -> list[int]:
        removed, kept = energy_counts(as_it_is, level, torch.tensor([order]).argsort().int(), fractions)
        assert torch.equal(removed, kept)
        return removed[0].tolist()

    assert counts(0, 3, 4, 1, 5, 2) == [0, 1, 2, 3, 5]  # 9, 13, 17, 18, 19, 19
    assert counts(2, 1, 5, 3, 4, 0) == [0, 5, 5, 6, 6]  # 0, 1, 2, 6, 10, 19


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=15), st.randoms())
def test_counts_are_the_least_that_remove_enough(values, random):
    input = torch.tensor([values], dtype=torch.float32) * (3 + 4j)  # squares are exact
    order = random.sample(range(len(values)), len(values))
    eighths = list(range(9))
    found = energy_counts(as_it_is, input, torch.tensor([order]).argsort(), [e / 8 for e in eighths])[0]
    energy = [values[feature] ** 2 for feature in order]
    for eighth, count in zip(eighths, found[0].tolist(), strict=True):
        enough = [k for k in range(len(values) + 1) if 8 * sum(energy[:k]) >= eighth * sum(energy)]
        assert count == enough[0]


def test_all_energy_is_all_of_it_however_faint():
    input = torch.tensor([[1.0, 1e-12, 0.0, 1e-15, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    counts, _ = energy_counts(as_it_is, input, torch.arange(5).expand(2, 5), [0, 0.5, 1])
    assert counts.tolist() == [[0, 1, 4], [0, 0, 0]]


def test_curves_are_those_of_single_clips_by_hand():
    network, input, label = OfSpectrum(), torch.fft.rfft(draw(5, 16)), torch.tensor([0, 1, 2, 0, 1])
    relevance, fractions = draw(5, 9, seed=1), [0, 0.3, 0.8, 1]
    deletion, insertion = curve_over_energy(
        network, input, label, relevance, fractions, Silence(torch.zeros(1, 9), list), Fourier(16).inverse
    )
    assert deletion.shape == insertion.shape == (5, 4) and deletion.dtype == torch.float32
    for clip in range(5):
        order = np.argsort(-relevance[clip].numpy(), kind="stable")
        whole = input[clip].numpy().astype(complex)
        energy = np.abs(whole[order]) ** 2 * np.array([1, *[2] * 7, 1])[order]  # each stands for its conjugate, too
        for column, fraction in enumerate(fractions):
            count = next(k for k in range(10) if energy[:k].sum() >= fraction * energy.sum() * (1 - 1e-6))
            emptied = whole.copy()
            emptied[order[:count]] = 0
            for curve, left in ((deletion, emptied), (insertion, whole - emptied)):
                probability = softmax(np.fft.irfft(left, 16) @ network.weight.numpy())[label[clip]]
                assert curve[clip, column].item() == pytest.approx(probability, rel=1e-4)


def test_all_energy_gone_is_silence_and_none_the_input():
    network, input, label = nn.Linear(50, 3), draw(4, 50), torch.tensor([0, 1, 2, 2])
    input[:, 20:40] = 0.3
    fill = Silence(torch.full((1, 50), 0.3), list)
    deletion, insertion = curve_over_energy(network, input, label, draw(4, 50, seed=1), [0, 1], fill)
    whole, empty = (
        network(of).softmax(1).gather(1, label[:, None]).detach() for of in (input, torch.full((4, 50), 0.3))
    )
    torch.testing.assert_close(deletion, torch.hstack([whole, empty]))
    torch.testing.assert_close(insertion, torch.hstack([empty, whole]))


def test_energy_is_above_silence_whatever_fills():
    input, floor = torch.tensor([[-80.0, -79.0, -77.0]]), torch.full((1, 3), -80.0)
    network, label = linear([0.01, 0.02, 0.03], [0.0, 0.0, 0.0]), torch.tensor([0])
    deletion, _ = curve_over_energy(network, input, label, input, [0.5], Zero(floor, list))
    logit = -80 * 0.01 - 79 * 0.02  # the last has nine tenths of the energy, and becomes zero
    assert deletion.item() == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-5)


def test_relevance_of_a_linear_network_beats_chance_and_amplitude():
    network, input, label = nn.Linear(50, 3), draw(4, 50), torch.tensor([0, 1, 2, 2])
    relevant = input * network.weight[label].detach()
    fractions, fill = [0, 0.25, 0.5, 0.75, 1], Silence(torch.zeros(1, 50), list)
    deletion, insertion = curve_over_energy(network, input, label, relevant, fractions, fill)
    for control in (draw(4, 50, seed=1), input.abs()):
        worse = curve_over_energy(network, input, label, control, fractions, fill)
        assert deletion.mean() < worse[0].mean() and insertion.mean() > worse[1].mean()


def test_order_of_equal_scores_is_that_of_ranks():
    input = torch.ones(1, 4)
    rank = ranks(torch.zeros(1, 4))
    assert energy_counts(as_it_is, input, rank, [0.25, 0.5])[0].tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", ["frequency", "time-frequency"])
def test_the_signal_loses_what_is_named(kind):
    """Of coefficients that overlap, those with half of the energy are more than half of the signal's."""
    transform = Fourier(4000) if kind == "frequency" else ShortTimeFourier(4000, torch.hann_window(256), 64)
    waveform = draw(3, 1, 4000) * torch.hann_window(4000) ** 4
    level = transform.transform(waveform)
    rank, fractions = ranks(draw(*level.shape, seed=1)), [0, 0.1, 0.5, 0.9, 1]
    removed, kept = energy_counts(transform.inverse, level, rank, fractions)
    energy = waveform.square().sum((1, 2))
    for counts, keeps in ((removed, False), (kept, True)):
        for column, fraction in enumerate(fractions):
            first = rank < counts[:, column].view(-1, *[1] * (level.dim() - 1))
            signal = transform.inverse(torch.where(first == keeps, level, torch.zeros_like(level)))
            share = signal.square().sum((1, 2)) / energy
            np.testing.assert_allclose(share, fraction if keeps else 1 - fraction, atol=0.005)
