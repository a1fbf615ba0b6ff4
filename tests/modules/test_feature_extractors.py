"""Relevance of the spectrograms of Hugging Face's extractors lies where the sound is that they were made from."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from auscult.explain.domain.fourier import ShortTimeFourier
from auscult.explain.show.audible import as_gain, sounds
from auscult.modules.feature_extractors import KaldiMel, WhisperMel

FRONT_ENDS = [KaldiMel(16000, 128, 200), KaldiMel(44100, 40, 50), KaldiMel(8000, 64, 90, None), WhisperMel()]
CASES = pytest.mark.parametrize("front_end", FRONT_ENDS, ids=["ast", "44 kHz", "8 kHz", "whisper"])


def hertz(front_end, bins: Tensor) -> Tensor:
    return bins * front_end.sample_rate / front_end.window


@CASES
def test_the_sum_stays_the_same(front_end):
    relevance = torch.randn(2, 1, len(front_end.frequencies), len(front_end.times), dtype=torch.float64)
    bins = front_end.spread(relevance)
    assert bins.shape[-2] == front_end.window // 2 + 1
    torch.testing.assert_close(bins.sum((-2, -1)), relevance.sum((-2, -1)))


@CASES
@pytest.mark.parametrize(("band", "frame"), [(3, 0), (20, 17), (38, 49)])
def test_a_bin_lies_in_its_band_and_at_its_time(front_end, band, frame):
    relevance = torch.zeros(len(front_end.frequencies), len(front_end.times), dtype=torch.float64)
    relevance[band, frame] = 1.0
    bins = front_end.spread(relevance)
    seconds = torch.arange(bins.shape[1]) * front_end.hop / front_end.sample_rate  # of the centres of torch.stft
    assert float(bins.sum(0) @ seconds.double()) == pytest.approx(float(front_end.times[frame]), abs=1e-4)
    rows = hertz(front_end, bins.sum(1).nonzero().flatten())
    centres, bin_hertz = front_end.frequencies, front_end.sample_rate / front_end.window
    assert float(centres[band - 1]) - bin_hertz < rows.min() and rows.max() < float(centres[band + 1]) + bin_hertz
    assert bins.min() >= 0


@pytest.mark.parametrize("front_end", [KaldiMel(16000, 64, 200), KaldiMel(16000, 64, 60), WhisperMel(seconds=2.0)])
def test_a_tone_and_a_click_get_the_relevance_of_their_bins(front_end):
    """Of a tone of 440 Hz and one of 3 kHz after it, a network hears one alone."""
    time = torch.arange(16000) / 16000
    clip = torch.where(time < 0.45, torch.sin(2 * torch.pi * 440 * time), torch.sin(2 * torch.pi * 3000 * time))
    clip = clip.double()[None]
    relevance = torch.zeros(len(front_end.frequencies), len(front_end.times), dtype=torch.float64)
    row = int((front_end.frequencies - 440).abs().argmin())
    relevance[row, (front_end.times > 0.1) & (front_end.times < 0.4)] = 1.0
    transform = ShortTimeFourier(16000, torch.hann_window(front_end.window, dtype=torch.float64), front_end.hop)
    samples, apart = transform.to_samples(clip, front_end.spread(relevance)[None])
    torch.testing.assert_close(samples.sum(1) + apart, relevance.sum()[None])
    assert samples[0, time < 0.45].sum() > 0.97 * relevance.sum()


def test_frames_behind_the_clip_are_kept_apart():
    front_end = KaldiMel(16000, 64, 200)
    clip = torch.randn(1, 16000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    relevance = torch.zeros(64, 200, dtype=torch.float64)
    relevance[:, 120:] = 1.0  # the clip has 98 frames
    transform = ShortTimeFourier(16000, torch.hann_window(front_end.window, dtype=torch.float64), front_end.hop)
    samples, apart = transform.to_samples(clip, front_end.spread(relevance)[None])
    assert not samples.any()
    torch.testing.assert_close(apart, relevance.sum()[None])


@pytest.mark.parametrize("front_end", [KaldiMel(16000, 64, 200), KaldiMel(16000, 64, 60), WhisperMel(seconds=2.0)])
def test_relevant_bands_are_heard(front_end):
    clip = np.random.default_rng(5).normal(0, 0.1, 16000)
    relevance = np.zeros((len(front_end.frequencies), len(front_end.times)))
    row = int((front_end.frequencies - 2000).abs().argmin())
    relevance[row, (front_end.times > 0.1) & (front_end.times < 0.4)] = 1.0
    relevance[row, front_end.times > 1.1] = 5.0  # behind the clip, where nothing sounds
    gain = as_gain(relevance, front_end, len(clip))
    assert gain.shape == (front_end.window // 2 + 1, len(clip) // front_end.hop + 1)
    positive = sounds(clip, relevance, 16000, front_end=front_end)["positive"].astype(np.float64)
    assert (positive[1200:6900] ** 2).sum() > 0.99 * (positive**2).sum()
    frequency, power = signal.welch(positive, 16000, nperseg=1024)
    assert abs(frequency[power.argmax()] - 2000) < 150
