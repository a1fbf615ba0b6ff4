"""Listening proxies: what smoothing does to the sound of relevance, measured instead of heard."""

from functools import partial

import numpy as np
import pytest
from scipy import signal

import auscult
from auscult.datamodules.synthetic import Synthetic
from auscult.explain.show.audible import SMOOTHING_SECONDS, sounds

RATE = 8000


def spectrum(sound: np.ndarray) -> np.ndarray:
    """Power (257,) of the whole sound, up to 4 kHz."""
    return signal.welch(sound, RATE, nperseg=512)[1]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two spectra, in decibels."""
    return np.corrcoef(*(np.log(spectrum(sound) + 1e-12) for sound in (one, other)))[0, 1]


def brightness(sound: np.ndarray) -> float:
    """Share of the power above 2 kHz."""
    power = spectrum(sound)
    return power[128:].sum() / power.sum()


def envelope(sound: np.ndarray) -> np.ndarray:
    """The sound's level over 20 ms, (T,)."""
    return np.sqrt(np.convolve(sound.astype(float) ** 2, np.hanning(RATE // 50), "same"))


@pytest.mark.slow
def test_smoothed_relevance_sounds_like_speech_and_comes_and_goes_as_the_published_form(trained):
    model, corpus = auscult.load(trained("audionet", "sex")), Synthetic(1, 0, "both")
    alike, bright, kept = [], [], []
    for clip in corpus.clips()[::50]:
        recording, rate = corpus.read(clip)
        e = auscult.explain(model, recording[:, 0], rate)
        hear = partial(sounds, e.waveform.numpy(), e.relevance.numpy(), RATE)
        published, smoothed = hear(smoothing=0), hear(smoothing=SMOOTHING_SECONDS)
        original = smoothed["original"]
        alike.append([likeness(original, made["positive"]) for made in (published, smoothed)])
        bright.append([brightness(made["positive"]) / brightness(original) for made in (published, smoothed)])
        kept.append(np.corrcoef(envelope(published["positive"]), envelope(smoothed["positive"]))[0, 1])
    assert np.subtract(*np.transpose(alike)).max() < 0  # in every clip
    assert np.median(alike, axis=0)[1] > 0.85 > np.median(alike, axis=0)[0] + 0.1
    assert np.median(bright, axis=0)[1] < 1.2 < np.median(bright, axis=0)[0]
    assert np.median(kept) > 0.95
