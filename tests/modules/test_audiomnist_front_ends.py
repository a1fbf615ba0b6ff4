import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import stft
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform

SHARED = Path(os.environ.get("AUSCULT_SHARED", Path(__file__).parents[3] / "shared"))
FRONT_ENDS = [NormalizedWaveform(), DecibelSpectrogram(), DecibelSpectrogram(raw_decibels=True)]
TIME = np.arange(8000) / 8000


def embedded(samples: np.ndarray, offset: int = 1500) -> np.ndarray:
    clip = np.zeros(8000, dtype=np.float32)
    clip[offset : offset + len(samples)] = samples
    return clip


def noise(seed: int = 0, length: int = 8000) -> np.ndarray:
    return embedded(0.1 * np.random.default_rng(seed).standard_normal(length), offset=(8000 - length) // 2)


def tone(hertz: float = 1000.0, length: int = 2000, offset: int = 3000) -> np.ndarray:
    return embedded(0.5 * np.sin(2 * np.pi * hertz * TIME[:length]), offset)


def batch(*clips: np.ndarray) -> Tensor:
    return torch.tensor(np.stack(clips), dtype=torch.float32)[:, None]


def published_waveform(clip: np.ndarray) -> np.ndarray:
    x = clip.astype(np.float64) * 32768
    return x / (np.percentile(x, 95) + 0.001)


def published_spectrogram(clip: np.ndarray) -> np.ndarray:
    _, _, z = stft(clip.astype(np.float64) * 32768, 8000, window="hann", nperseg=455, noverlap=420)
    assert z.shape == (228, 230)
    return librosa.amplitude_to_db(np.abs(z[0:227, 2:-1]), ref=np.max)


@pytest.fixture(scope="module")
def real_clips() -> list[np.ndarray]:
    """Words of four speakers: no DC, 8 kHz, silence trimmed, in the middle of a second."""
    speakers = sorted((SHARED / "data" / "audiomnist_az" / "data").glob("*"))[::15]
    if not speakers:
        pytest.skip("needs audiomnist_az in $AUSCULT_SHARED")
    clips = []
    for speaker in speakers:
        samples, rate = soundfile.read(min(speaker.glob("*.flac")), dtype="float64")
        word, _ = librosa.effects.trim(soxr.resample(samples - samples.mean(), rate, 8000), top_db=25)
        word = word[:8000]
        clips.append(embedded(word, offset=(8000 - len(word)) // 2))
    return clips


@pytest.mark.parametrize("clip", [noise(), noise(1, 3000), tone()], ids=["noise", "padded noise", "tone"])
def test_waveform_is_the_published_one(clip: np.ndarray) -> None:
    np.testing.assert_allclose(NormalizedWaveform()(batch(clip))[0, 0], published_waveform(clip), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(min_value=2, max_value=300), st.integers(min_value=0, max_value=2**32 - 1))
def test_percentile_is_numpys_at_any_length(length: int, seed: int) -> None:
    clip = np.random.default_rng(seed).uniform(0.5, 1, length).astype(np.float32)
    divisor = NormalizedWaveform.divisor(batch(clip)).item()
    assert divisor == pytest.approx(np.percentile(clip.astype(np.float64), 95) + 0.001 / 32768, rel=1e-6)


@pytest.mark.real
def test_real_words_are_normalised_as_published(real_clips: list[np.ndarray]) -> None:
    for clip, ours in zip(real_clips, NormalizedWaveform()(batch(*real_clips)), strict=True):
        np.testing.assert_allclose(ours[0], published_waveform(clip), rtol=1e-6)


@pytest.mark.parametrize(
    "clip",
    [embedded(np.array([0.5])), -(noise(2, 3000) ** 2), -np.ones(8000)],
    ids=["click", "negative", "constant"],
)
def test_mostly_silent_or_negative_clips_stay_within_bounds(clip: np.ndarray) -> None:
    normalised = NormalizedWaveform()(batch(clip))[0, 0].numpy()
    assert np.abs(normalised).max() == pytest.approx(100, rel=1e-3)
    assert (np.sign(normalised) == np.sign(clip)).all()


def test_digital_silence_stays_silence() -> None:
    silence = torch.zeros(2, 1, 8000)
    assert not NormalizedWaveform()(silence).any()
    assert not DecibelSpectrogram()(silence).any()
    assert (DecibelSpectrogram(raw_decibels=True)(silence) == -80).all()


@pytest.mark.parametrize("clip", [noise(), noise(1, 3000), tone()], ids=["noise", "padded noise", "tone"])
def test_spectrogram_is_the_published_one(clip: np.ndarray) -> None:
    ours = DecibelSpectrogram(raw_decibels=True)(batch(clip))
    assert ours.shape == (1, 1, 227, 227)
    np.testing.assert_allclose(ours[0, 0], published_spectrogram(clip), atol=1e-3)


@pytest.mark.real
def test_real_words_have_the_published_spectrograms(real_clips: list[np.ndarray]) -> None:
    for clip, ours in zip(real_clips, DecibelSpectrogram(raw_decibels=True)(batch(*real_clips)), strict=True):
        np.testing.assert_allclose(ours[0], published_spectrogram(clip), atol=1e-3)


def test_unit_scale_is_the_published_one_moved_to_zero_and_one() -> None:
    clips = batch(noise(), tone())
    unit, raw = DecibelSpectrogram()(clips), DecibelSpectrogram(raw_decibels=True)(clips)
    torch.testing.assert_close(unit, (raw + 80) / 80, atol=1e-6, rtol=0)
    assert (unit.amin(), unit.amax()) == (0, 1)


@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_axes_say_where_a_tone_is(sample_rate: int) -> None:
    front_end = DecibelSpectrogram(sample_rate)
    assert front_end.frequencies.shape == front_end.times.shape == (227,)
    for row, column in ((40, 100), (200, 30)):
        centre = round(front_end.times[column].item() * sample_rate)
        angle = 2 * np.pi * front_end.frequencies[row].item() / sample_rate * np.arange(455)
        clip = embedded(np.hanning(455) * np.cos(angle), offset=centre - 227)
        loudest = front_end(batch(clip))[0, 0].argmax().item()
        assert divmod(loudest, 227) == (row, column)


def test_another_length_is_refused_by_the_options_to_change() -> None:
    with pytest.raises(Mistake, match=r"8000 samples, not 16000.*data\.clip\.seconds"):
        DecibelSpectrogram()(torch.zeros(1, 1, 16000))


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_batch_is_its_clips(front_end: nn.Module) -> None:
    clips = batch(noise(), 0.01 * noise(1, 2000), tone(), np.zeros(8000))
    together = front_end(clips)
    torch.testing.assert_close(together, torch.cat([front_end(clip[None]) for clip in clips]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("gain", [0.1, 0.9])
def test_level_does_not_matter(front_end: nn.Module, gain: float) -> None:
    clips = batch(noise(), noise(1, 3000), tone())
    torch.testing.assert_close(front_end(gain * clips), front_end(clips), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_changes_nothing(front_end: nn.Module, dtype: torch.dtype) -> None:
    clips = batch(noise(), tone())
    with torch.autocast("cpu", dtype=dtype):
        mixed = front_end(clips)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, front_end(clips))


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_gradients_reach_the_waveform_and_are_finite(front_end: nn.Module) -> None:
    clips = batch(noise(1, 3000), tone(), np.zeros(8000)).requires_grad_()
    front_end(clips).square().sum().backward()
    assert clips.grad is not None
    assert clips.grad.isfinite().all()
    assert clips.grad[:2].any(dim=-1).all()
