"""AudioMNIST's recordings, prepared as published: against the original's steps, written down in float64."""

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
import yaml

from auscult.datamodules.audiomnist import AudioMNIST
from auscult.datamodules.cache import _home, open_cache
from auscult.datamodules.clips import Clip
from auscult.datamodules.published import TooLong, resampled
from auscult.datamodules.recording import ClipSettings, load, prepare
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform
from auscult.program.conf import CONF

PUBLISHED = ClipSettings(highpass_hz=None, trim_db=None, preparation="published")
OFFSET = -700  # in int16 units: recordings have one, and it stays


def word(frames: int, seed: int = 0, level: float = 4000) -> np.ndarray:
    """A recording as AudioMNIST has them, (frames,) int16: a voice that comes and goes, with noise and an offset."""
    time = np.arange(frames) / 48000
    noise = np.random.default_rng(seed).standard_normal(frames)
    voice = np.sin(2 * np.pi * 180 * time) + 0.4 * np.sin(2 * np.pi * 2300 * time)
    return np.rint(level * voice * np.hanning(frames) + level / 100 * noise + OFFSET).astype(np.int16)


def by_definition(samples: np.ndarray, count: int) -> np.ndarray:
    """Fourier's sums one by one, (count,) float64 of (frames,): what the lower rate can hold, at its times."""
    frames = len(samples)
    indices = np.arange(frames)
    total = np.full(count, samples.mean())
    places = np.arange(count) * frames / count  # of the new samples, in old ones
    for k in range(1, math.ceil(count / 2)):
        coefficient = (samples * np.exp(-2j * np.pi * k * indices / frames)).sum() / frames
        total += 2 * (coefficient * np.exp(2j * np.pi * k * places / frames)).real
    if count % 2 == 0:  # half the new rate: both halves of the spectrum fall onto it
        coefficient = (samples * np.exp(-1j * np.pi * count * indices / frames)).sum() / frames
        total += (2 * coefficient * np.exp(1j * np.pi * count * places / frames)).real
    return total


@pytest.mark.parametrize("frames", [600, 1001, 1206])
def test_resampling_is_fouriers(frames: int) -> None:
    samples = word(frames).astype(np.float64)
    count = math.ceil(frames / 6)
    np.testing.assert_allclose(resampled(samples, 48000, 8000), by_definition(samples, count), atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [31_003, 40_000, 47_999])
def test_clips_are_the_originals_to_half_a_step(frames: int) -> None:
    samples = word(frames)
    prepared = prepare(samples[:, None], 48000, PUBLISHED)
    expected = librosa.resample(samples.astype(np.float32), orig_sr=48000, target_sr=8000, res_type="scipy")
    assert len(prepared.samples[0]) == len(expected) == math.ceil(frames / 6) and not prepared.cut
    assert np.abs(prepared.samples[0] - expected.astype(np.float64)).max() <= 0.5 + 0.01  # its float32
    assert prepared.samples[0].mean() == pytest.approx(OFFSET, rel=0.05)
    cleaned = prepare(samples[:, None], 48000, ClipSettings(highpass_hz=None, trim_db=None))
    assert abs(cleaned.samples[0].mean()) < 1


def test_inputs_of_both_networks_are_the_originals() -> None:
    samples, offset = word(36_000), 1234
    embedded = np.zeros(8000)
    resampled_by_librosa = librosa.resample(samples.astype(np.float32), orig_sr=48000, target_sr=8000, res_type="scipy")
    embedded[offset : offset + 6000] = resampled_by_librosa
    waveform = torch.zeros(1, 1, 8000)
    own = prepare(samples[:, None], 48000, PUBLISHED).samples[0]
    waveform[0, 0, offset : offset + 6000] = torch.from_numpy(own / np.float32(32768))

    normalised = embedded / (np.percentile(embedded, 95) + 0.001)
    half_a_step = 0.51 / np.percentile(embedded, 95)
    network_input = NormalizedWaveform()(waveform)[0, 0].double().numpy()
    most = half_a_step * (1 + np.abs(normalised).max())  # in the samples, and in the percentile
    assert np.abs(network_input - normalised).max() < most < 1e-3
    _, _, transform = scipy.signal.stft(embedded, 8000, nperseg=455, noverlap=420, window="hann")
    decibels = librosa.amplitude_to_db(np.abs(transform[0:227, 2:-1]), ref=np.max)
    picture = DecibelSpectrogram(raw_decibels=True)(waveform)[0, 0].double().numpy()
    assert picture.shape == decibels.shape == (227, 227)
    assert np.abs(picture - decibels)[decibels > -60].max() < 0.4  # of rounding, 40 dB below: four times 0.09


def recorded(root: Path, *lengths: int) -> AudioMNIST:
    folder = root / "data/01"
    folder.mkdir(parents=True)
    for take, frames in enumerate(lengths):
        soundfile.write(folder / f"3_01_{take}.wav", word(frames, seed=take), 48000, "PCM_16")
    return AudioMNIST(root)


def test_a_second_is_the_most(tmp_path: Path, cache_dir: Path) -> None:
    corpus = recorded(tmp_path, 48_000, 48_001)
    assert len(load(corpus, corpus.clips()[0], PUBLISHED).samples[0]) == 8000
    with pytest.raises(
        Mistake, match=r"refuses recordings that are longer than a clip, and data/01/3_01_1.wav is \(too"
    ) as caught:
        open_cache(corpus, corpus.clips(), PUBLISHED, cache_dir)
    assert "data.clip.preparation=cleaned" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(TooLong, match=r"too long: 1.00012 s after resampling, of at most 1"):  # whoever speaks live
        prepare(word(48_001)[:, None], 48000, PUBLISHED)
    cut = load(corpus, corpus.clips()[1], ClipSettings(highpass_hz=None, trim_db=None, seconds=0.5))
    assert cut.cut


def test_the_length_of_hours_is_told_before_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auscult.datamodules.recording.resampled", None)
    with pytest.raises(TooLong):
        prepare(word(480_000)[:, None], 48000, PUBLISHED)


@pytest.mark.parametrize("option", [{"highpass_hz": 60.0}, {"trim_db": 25.0}, {"short": "repeat"}])
def test_what_contradicts_it_is_refused(option: dict) -> None:
    options = {"highpass_hz": None, "trim_db": None, "preparation": "published", **option}
    with pytest.raises(Mistake, match=r"data.clip.preparation=published neither filters nor trims"):
        ClipSettings(**options)


def test_audiomnist_gets_it_by_one_option() -> None:
    clip = {**yaml.safe_load((CONF / "train.yaml").read_text())["data"]["clip"]}
    clip |= yaml.safe_load((CONF / "data/audiomnist.yaml").read_text())["clip"]
    assert clip.pop("preparation") == "cleaned" and clip["sample_rate"] == "${oc.select:model.sample_rate,8000}"
    clip["sample_rate"] = 8000
    assert ClipSettings(**clip, preparation="published").preparation == "published"


def test_caches_from_before_the_option_are_found(tmp_path: Path) -> None:
    """The name of the cache of these settings, written down when there was no such option."""
    corpus = AudioMNIST("/nowhere")
    assert _home(corpus, ClipSettings(), tmp_path).name == "audiomnist-491f5cf2740e"
    assert (
        _home(corpus, PUBLISHED, tmp_path).name
        != _home(corpus, ClipSettings(highpass_hz=None, trim_db=None), tmp_path).name
    )


def test_bad_recordings_are_bad_in_either_way() -> None:
    from auscult.datamodules.audio.audio_file import BadRecording

    for samples, reason in ((np.zeros((4000, 1), np.int16), "silent"), (word(1000)[:, None], "too short")):
        with pytest.raises(BadRecording, match=reason):
            prepare(samples, 48000, PUBLISHED)


def test_a_whole_corpus_is_one_place(tmp_path: Path, cache_dir: Path) -> None:
    corpus = recorded(tmp_path, 30_000, 24_000)
    cache = open_cache(corpus, corpus.clips(), PUBLISHED, cache_dir)
    assert [clip.path for clip in cache.clips] == ["data/01/3_01_0.wav", "data/01/3_01_1.wav"]
    assert cache.lengths.tolist() == [5000, 4000] and cache.starts.tolist() == [0, 0]
    assert isinstance(cache.clips[0], Clip)
