"""A network asked in other domains gives the same logits, and the same relevance in another place."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.attribution.base import input_gradient
from auscult.explain.attribution.controls import Amplitude, Random
from auscult.explain.attribution.gradients import Gradient, GradientXInput, IntegratedGradients, SmoothGrad
from auscult.explain.attribution.lrp import LRP
from auscult.explain.attribution.occlusion import Occlusion
from auscult.explain.attribution.rise import RISE
from auscult.explain.domain.domains import Frequency, Input, Time, TimeFrequency
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform
from auscult.modules.feature_extractors import KaldiMel
from auscult.modules.mel import LogMel
from auscult.modules.model import Model

SAMPLES, RATE = 8000, 8000
TARGET = torch.tensor([2, 0])


@cache
def classifier(kind: str) -> Model:
    """A small network of waveforms, of AlexNet's spectrograms or of others, also shorter and longer than the clip."""
    torch.manual_seed(0)
    front_end: nn.Module = {
        "waveform": NormalizedWaveform(), "spectrogram": DecibelSpectrogram(), "mel": LogMel(RATE, 1.0, 20, 20),
        "kaldi": KaldiMel(RATE, 20, 130), "kaldi cut off": KaldiMel(RATE, 20, 60),
    }[kind]  # fmt: skip
    convolution: Any = nn.Conv1d(1, 4, 9, 4) if kind == "waveform" else nn.Conv2d(1, 4, 9, 4)
    pool = nn.AdaptiveAvgPool1d(6) if kind == "waveform" else nn.AdaptiveAvgPool2d(3)
    network = nn.Sequential(convolution, nn.ReLU(), pool, nn.Flatten(), nn.Linear(24 if kind == "waveform" else 36, 3))
    classes = ["a", "b", "c"]
    return Model(network, front_end=front_end, classes=classes, sample_rate=RATE).eval()


def clips() -> Tensor:
    """Two sounds (2, 1, T) that begin and end in silence."""
    waveform = torch.randn(2, 1, SAMPLES, generator=torch.Generator().manual_seed(1)).cumsum(-1)
    waveform = waveform - waveform.mean(-1, keepdim=True)
    waveform[..., :1000] = waveform[..., 7000:] = 0
    return waveform / waveform.abs().amax(-1, keepdim=True)


def domains(kind: str) -> list[Any]:
    made = classifier(kind)
    return [
        Input(made, SAMPLES), Time(made, SAMPLES), Frequency(made, SAMPLES),
        TimeFrequency(made, SAMPLES, window_seconds=0.032, hop_seconds=0.008),
    ]  # fmt: skip


def asked(domain: Any, attribution: Any, waveform: Tensor) -> tuple[Tensor, Tensor]:
    return domain.relevance(attribution, waveform, domain.model.front_end(waveform), TARGET)


KINDS = ["waveform", "spectrogram", "mel", "kaldi", "kaldi cut off"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_says_the_same_in_every_domain(kind):
    waveform = clips()
    with torch.no_grad():
        expected = classifier(kind)(waveform)
        for domain in domains(kind):
            torch.testing.assert_close(domain.model(waveform), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attribution", [LRP("epsilon"), LRP("epsilon_plus_flat"), GradientXInput()])
def test_relevance_keeps_its_sum(kind, attribution):
    waveform = clips()
    whole = asked(domains(kind)[0], attribution, waveform)[0].flatten(1)
    for domain in domains(kind)[1:]:
        relevance, apart = asked(domain, attribution, waveform)
        assert relevance.shape == domain.model.front_end(waveform).shape
        difference = relevance.flatten(1).sum(1) + apart - whole.sum(1)
        assert (difference.abs() <= 1e-4 * whole.abs().sum(1)).all(), type(domain).__name__


def test_relevance_of_silence_is_kept_apart():
    """LRP-flat hands relevance to the zeros around a sound, where no coefficient carries it."""
    waveform = clips()
    _, whole, frequency, short_time = domains("waveform")
    relevance, _ = asked(whole, LRP("epsilon_plus_flat"), waveform)
    silent = torch.where(waveform == 0, relevance, 0).sum((1, 2))
    assert (silent.abs() > 0.01).any()
    for domain in (frequency, short_time):
        _, apart = asked(domain, LRP("epsilon_plus_flat"), waveform)
        torch.testing.assert_close(apart, silent, rtol=0, atol=1e-3)


@pytest.mark.parametrize("number", [2, 3])
def test_gradient_x_input_is_that_of_the_coefficients(number):
    """The one method that can be asked of coefficients by autograd, too: where nothing is silent, it is the same."""
    waveform = torch.randn(2, 1, SAMPLES, generator=torch.Generator().manual_seed(2))
    domain = domains("waveform")[number]
    coefficients = domain.model.front_end(waveform)
    gradient = input_gradient(domain.model.network, coefficients, TARGET)
    expected = (coefficients * gradient.conj()).real
    relevance, _ = asked(domain, GradientXInput(), waveform)
    # nearly silent samples are stabilised in the one and not in the other
    torch.testing.assert_close(relevance, expected, rtol=0, atol=4e-3 * expected.abs().max().item())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attribution", [Amplitude(), Random(), RISE(masks=3, cells=4), Occlusion(0.5, 0.5)])
def test_methods_that_ask_for_logits_only_are_asked_of_the_coefficients(kind, attribution):
    waveform = clips()
    for domain in domains(kind)[1:]:
        coefficients = domain.model.front_end(waveform)
        relevance, apart = asked(domain, attribution, waveform)
        assert relevance.dtype == torch.float32 and not apart.any()
        torch.testing.assert_close(relevance, attribution(domain.model.network, coefficients, TARGET))


@pytest.mark.parametrize("attribution", [Gradient(), SmoothGrad(samples=1)])
def test_slopes_are_refused_outside_of_the_input(attribution):
    input, samples, *others = domains("waveform")
    found, same = (asked(domain, attribution, clips()) for domain in (input, samples))  # which are its samples
    torch.testing.assert_close(same, found)
    for domain in [*others, *domains("spectrogram")[1:]]:
        with pytest.raises(Mistake, match="choose gradient_x_input, or leave domain out"):
            asked(domain, attribution, clips())


def test_a_front_end_that_cannot_hand_relevance_back_is_refused():
    made = classifier("mel")

    class Blind(nn.Module):
        def forward(self, waveform: Tensor) -> Tensor:
            return made.front_end(waveform)

    with pytest.raises(Mistake, match="relevance of Blind back to samples, as it has no `spread`; leave domain out"):
        Frequency(Model(made.network, front_end=Blind(), classes=made.classes, sample_rate=RATE), SAMPLES)


@pytest.mark.parametrize("window, hop", [(2.0, 0.01), (0.0001, 0.01), (0.032, 0.04), (0.032, 0)])
def test_frames_that_make_no_signal_are_refused(window, hop):
    with pytest.raises(Mistake, match=r"window|hop"):
        TimeFrequency(classifier("waveform"), SAMPLES, window, hop)


@pytest.mark.parametrize("name", ["silence", "zero", "noise", "mean"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_fill_fills_every_domain(name, number):
    front_end = domains("spectrogram")[number].model.front_end
    input, silence = front_end(clips()), front_end(torch.zeros(1, 1, SAMPLES))
    node = {"_target_": f"auscult.explain.measures.fill.{name.capitalize()}"}
    fill = build_named(node, "fill", silence, lambda: [input])
    filled = fill(input)
    assert (filled.shape, filled.dtype) == (input.shape, input.dtype) and filled.abs().isfinite().all()


def test_integrated_gradients_finds_the_tone_that_a_network_listens_to():
    """A network of one matched filter: its logit is the loudness of 440 Hz, and so is the relevance's place."""
    time = torch.arange(SAMPLES) / RATE
    heard = torch.sin(2 * torch.pi * 440 * time)

    class Matched(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            response = (input[:, 0] * heard).sum(1)
            return torch.stack([response, -response, 0 * response], 1)

    made = Model(Matched(), classes=["a", "b", "c"], sample_rate=RATE).eval()
    waveform = (heard + torch.sin(2 * torch.pi * 1200 * time) + 0.3).expand(2, 1, -1)
    domain = Frequency(made, SAMPLES)
    relevance, _ = asked(domain, IntegratedGradients(steps=4), waveform)
    assert relevance[1, 0].argmax() == 440
    share = relevance[1, 0, 440] / relevance[1].sum()
    assert share == pytest.approx(1, abs=1e-3)
