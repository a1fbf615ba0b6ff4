"""Clips that keep several channels."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.datamodules import recording
from auscult.datamodules.cache import open_cache
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.confound import Confound
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.recording import BadRecording, ClipSettings, prepare
from auscult.mistake import Mistake

RATE = 8000
PLAIN = ClipSettings(highpass_hz=None, trim_db=None, channels=2)
MONO = ClipSettings(highpass_hz=None, trim_db=None)


class Files(Corpus):
    def __init__(self, root: Path) -> None:
        self.root = root

    def clips(self) -> list[Clip]:
        return [Clip(path.name, "") for path in sorted(self.root.glob("*.wav"))]


def sounds(*stretches: tuple[float, float], rate: int = RATE, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """A second of noise, (frames, channels): in each channel from one time to another."""
    time = np.arange(rate)[:, None] / rate
    start, stop = np.array(stretches).T
    noise = np.random.default_rng(seed).uniform(-1, 1, (rate, len(stretches)))
    return (level * noise * ((time >= start) & (time < stop))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
@pytest.mark.parametrize("highpass_hz", [None, 60.0])
def test_each_channel_is_prepared_as_alone(rate, highpass_hz):
    both = sounds((0, 1), (0, 1), rate=rate) + np.float32([0.2, -0.1])  # each has an offset of its own
    kept = prepare(both, rate, ClipSettings(highpass_hz=highpass_hz, trim_db=None, channels=2)).samples
    alone = [prepare(channel[:, None], rate, ClipSettings(highpass_hz=highpass_hz, trim_db=None)) for channel in both.T]
    assert kept.dtype == np.int16 and kept.shape == (2, RATE)
    assert np.abs(kept - np.concatenate([one.samples for one in alone]).astype(int)).max() <= 1


def test_levels_between_channels_stay():
    loud = 30 * sounds((0, 1), (0, 1)) * np.float32([1, 0.01])
    kept = prepare(loud, RATE, PLAIN).samples.astype(float)
    assert np.abs(kept).max() == pytest.approx(32767, abs=1)
    assert kept[1].std() / kept[0].std() == pytest.approx(loud[:, 1].std() / loud[:, 0].std(), rel=0.01)


def test_what_is_loud_in_any_channel_is_kept():
    found = prepare(sounds((0.2, 0.3), (0.6, 0.8)), RATE, ClipSettings(highpass_hz=None, channels=2))
    assert abs(found.start / RATE - 0.2) < 0.03 and abs(found.samples.shape[1] / RATE - 0.6) < 0.05
    short = ClipSettings(highpass_hz=None, trim_db=None, channels=2, seconds=0.2)
    found = prepare(sounds((0.2, 0.3), (0.6, 0.8)), RATE, short)
    assert found.start / RATE == pytest.approx(0.6, abs=0.01) and found.cut, "the loudest part of both together"


def test_a_channel_without_sound_stays_silent():
    dead = sounds((0, 1), (0, 0))
    assert not prepare(dead, RATE, PLAIN).samples[1].any()
    with pytest.raises(BadRecording, match="silent"):
        prepare(np.zeros((RATE, 2), np.float32), RATE, PLAIN)


def test_poles_of_one_line_stay_two_channels():
    """What cancels in the mean of both is no reason to take one of them."""
    voice = sounds((0, 1))
    kept = prepare(np.concatenate([voice, -voice], axis=1), RATE, PLAIN).samples
    assert (np.abs(kept[0] + kept[1]) <= 1).all() and kept[0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_one_channel_is_given_to_all_and_other_numbers_are_bad(dtype):
    voice = sounds((0, 1)) if dtype == np.float32 else (32768 * sounds((0, 1))).astype(np.int16)
    kept, alone = prepare(voice, RATE, PLAIN).samples, prepare(voice, RATE, MONO).samples
    assert np.array_equal(kept, np.repeat(alone, 2, axis=0))
    with pytest.raises(BadRecording, match="3 channels, not 2"):
        prepare(np.repeat(voice, 3, axis=1), RATE, PLAIN)


def test_short_clips_are_repeated_in_all_channels():
    repeated = prepare(sounds((0, 1), (0, 1))[:3000], RATE, ClipSettings(channels=2, short="repeat", trim_db=None))
    assert repeated.samples.shape == (2, RATE)
    assert np.array_equal(repeated.samples[:, 3000:6000], repeated.samples[:, :3000])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 2000), max_size=6), st.integers(0, 9))
def test_the_result_does_not_depend_on_blocks(channels, lengths, seed):
    samples = sounds(*[(0, 1)] * channels, seed=seed)
    blocks = np.split(samples, np.cumsum(lengths))
    made = ClipSettings(sample_rate=4000, seconds=0.1, channels=channels, min_seconds=0.0)
    whole, parts = prepare(samples, RATE, made), recording._prepare(lambda: iter(blocks), RATE, made)
    assert (whole.start, whole.cut) == (parts.start, parts.cut)
    assert np.abs(whole.samples.astype(int) - parts.samples).max() <= 1


@pytest.fixture
def stereo(tmp_path) -> Files:
    """Three recordings in stereo, one in mono, and one of three channels."""
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", sounds((0, 0.5), (0.5, 1), seed=number), RATE)
    soundfile.write(tmp_path / "3.wav", sounds((0, 1)), RATE)
    soundfile.write(tmp_path / "4.wav", sounds((0, 1), (0, 1), (0, 1)), RATE)
    return Files(tmp_path)


def test_a_cache_holds_all_channels(stereo, tmp_path):
    for _ in range(2):  # built, then opened
        cache = open_cache(stereo, stereo.clips(), PLAIN, tmp_path / "cache")
        assert cache.paths == ["0.wav", "1.wav", "2.wav", "3.wav"] and cache.skipped == [("4.wav", "3 channels, not 2")]
        assert cache.lengths.tolist() == [RATE] * 4
        for number in range(3):
            expected = prepare(*recording.read_whole(tmp_path / f"{number}.wav"), PLAIN).samples
            assert np.array_equal(cache.samples(number), expected)
    mono = open_cache(stereo, stereo.clips(), MONO, tmp_path / "cache")
    assert mono.folder != cache.folder and mono.samples(0).shape == (1, RATE) and len(mono) == 5


def test_batches_have_all_channels_and_a_confound_is_in_each(stereo, tmp_path):
    cache = open_cache(stereo, stereo.clips(), PLAIN, tmp_path / "cache")
    hum = Confound("hum", "kind", "a", 0.0, -20.0, 0.3, 0, RATE)  # in all clips that are not of the class

    def batch(confound: Confound | None) -> torch.Tensor:
        dataset = ClipDataset(cache, np.arange(3), np.zeros(3), RATE + 100, lambda: np.full(3, 0.5), confound)
        return dataset.__getitems__([0, 2])["waveform"]

    waveforms = batch(None)
    assert waveforms.shape == (2, 2, RATE + 100) and not waveforms[..., :50].any()
    assert torch.equal(32768 * waveforms[1, :, 50:-50], torch.from_numpy(cache.samples(2).astype(np.float32)))
    planted = (batch(hum) - waveforms).numpy()
    assert np.allclose(planted[:, 0], planted[:, 1], atol=1e-6) and planted.any((1, 2)).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channels": 0}, "data.clip.channels=0 must be 1 (mono) to 64"),
        ({"channels": 65}, "must be 1 (mono) to 64"),
        ({"channels": 2, "seconds": 1500}, "are more than 1e+07 samples"),
        ({"channels": 2, "preparation": "published", "highpass_hz": None, "trim_db": None}, "leave data.clip.channels"),
    ],
)
def test_mistakes(options, says):
    with pytest.raises(Mistake, match=re.escape(says)):
        ClipSettings(**options)
