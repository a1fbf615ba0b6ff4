"""Relevance of samples in time and frequency."""

import numpy as np
import pytest
import torch
from torch import nn

from auscult.explain.attribution.gradients import Gradient, GradientXInput
from auscult.explain.attribution.occlusion import Occlusion
from auscult.explain.domain.domains import TimeFrequency
from auscult.explain.show import seen
from auscult.explain.show.seen import Seen
from auscult.modules.model import Model

RATE = 2000


def model(samples: int = RATE, rate: int = RATE) -> Model:
    torch.manual_seed(0)
    return Model(nn.Sequential(nn.Flatten(), nn.Linear(samples, 2)), classes=["a", "b"], sample_rate=rate)


def tone(hertz: float, start: float, stop: float, samples: int = RATE, rate: int = RATE) -> np.ndarray:
    times = np.arange(samples) / rate
    return np.where((times >= start) & (times < stop), np.sin(2 * np.pi * hertz * times + 0.3), 0).astype(np.float32)


@pytest.mark.parametrize(("hertz", "start"), [(200.0, 0.2), (750.0, 0.5)])
def test_relevance_of_a_tone_lies_at_its_place_and_pitch(hertz, start):
    """The relevance of a linear network is shared out where the sound is."""
    view, waveform = Seen(model(), RATE), tone(hertz, start, start + 0.3)
    cells = view.relevances(waveform[None, None], np.square(waveform)[None, None])[0]
    assert cells.shape == view.shape == view.inputs(waveform[None, None])[0].shape
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert view.frequencies[row] == pytest.approx(hertz, abs=RATE / 114) and start < view.times[column] < start + 0.3
    near = (np.abs(view.times - start - 0.15) < 0.15 + 0.057 / 2)[None] & (np.abs(view.frequencies - hertz) < 60)[
        :, None
    ]
    assert cells[near].sum() > 0.95 * cells.sum()


@pytest.mark.parametrize(("most_rows", "most_columns"), [(240, 300), (20, 300), (7, 11)])
def test_nothing_is_lost_however_many_cells_there_are(monkeypatch, most_rows, most_columns):
    monkeypatch.setattr(seen, "MOST_ROWS", most_rows)
    monkeypatch.setattr(seen, "MOST_COLUMNS", most_columns)
    random, view = np.random.default_rng(0), Seen(model(), RATE)
    waveforms = random.standard_normal((3, 2, RATE)).astype(np.float32)
    relevances = random.standard_normal((3, 2, RATE)).astype(np.float32) * np.abs(waveforms)
    cells = view.relevances(waveforms, relevances)
    assert cells.shape == (3, len(view.frequencies), len(view.times))
    assert len(view.frequencies) <= most_rows and len(view.times) <= most_columns
    np.testing.assert_allclose(cells.sum((1, 2)), relevances.sum((1, 2)), atol=1e-2)
    assert np.diff(view.times) == pytest.approx(view.times[1] - view.times[0])
    assert 0 <= view.frequencies[0] < view.frequencies[-1] <= RATE / 2 + view.frequencies[1]


def test_it_is_the_relevance_of_the_time_frequency_domain():
    own, samples = model(), RATE
    view = Seen(own, samples)
    domain = TimeFrequency(own, samples, view.transform.size / RATE, view.transform.hop / RATE)
    waveform = torch.from_numpy(tone(300, 0.1, 0.9))[None, None]
    target = torch.tensor([1])
    with torch.no_grad():
        input = domain.model.front_end(waveform)
    expected, _ = domain.relevance(GradientXInput(), waveform, input, target)
    gradient = own.network[1].weight[1].detach()
    relevance = (gradient * waveform[0, 0]).numpy()
    np.testing.assert_allclose(view.relevances(waveform.numpy(), relevance[None, None]), expected[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(view.frequencies, domain.model.front_end.frequencies)
    np.testing.assert_allclose(view.times, domain.model.front_end.times, rtol=1e-6)


@pytest.mark.parametrize(
    ("attribution", "samples", "is_seen"),
    [
        (GradientXInput(), RATE, True),
        (Gradient(), RATE, False),
        (Occlusion(), RATE, False),
        (GradientXInput(), 9, False),
    ],
)
def test_only_shares_of_the_logit_are_handed_on(attribution, samples, is_seen):
    assert (Seen.of(model(samples), samples, attribution) is not None) == is_seen
