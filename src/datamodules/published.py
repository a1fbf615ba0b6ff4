"""Prepares recordings as AudioMNIST's authors did for the published networks (their `preprocess_data.py`).

Samples are resampled to 8 kHz with their offset; nothing is filtered or trimmed. A recording that then lasts longer
than a second is an error, as clips are embedded in a second. The resampler was librosa's `res_type="scipy"`: the clip's
Fourier transform, cut off at half the new rate.
"""

import math

import numpy as np

from auscult.datamodules.audio.audio_file import BadRecording


class TooLong(BadRecording):
    """The recording lasts longer than a clip."""


def samples_after(frames: int, rate: int, to_rate: int) -> int:
    """The number of samples after resampling, with librosa's rounding."""
    return math.ceil(frames * (float(to_rate) / rate))


def check_length(frames: int, rate: int, to_rate: int, longest: int) -> None:
    """Raises TooLong if a recording has more than `longest` samples after resampling."""
    if (count := samples_after(frames, rate, to_rate)) > longest:
        raise TooLong(f"too long: {count / to_rate:g} s after resampling, of at most {longest / to_rate:g}")


def resampled(mono: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """Resamples a recording (frames,) to (samples,) float64, as if it were periodic.

    Frequencies above half the new rate are removed from its Fourier transform; the rest is transformed back.
    """
    from scipy import signal  # only now: it takes a second to import

    wide = mono.astype(np.float64)
    return wide if rate == to_rate else signal.resample(wide, samples_after(len(wide), rate, to_rate))
