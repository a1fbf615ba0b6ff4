"""How AudioMNIST's recordings were prepared for the networks as published (its repository's `preprocess_data.py`).

Samples are resampled to 8 kHz as they are, offset and all: nothing is filtered or trimmed, and what then lasts longer
than the second in which clips are embedded is an error. The resampler was librosa's `res_type="scipy"`: the clip's
Fourier transform, cut off at half the new rate.
"""

import math

import numpy as np
from scipy import signal

from auscult.datamodules.audio.audio_file import BadRecording


class TooLong(BadRecording):
    """The recording lasts longer than a clip."""


def samples_after(frames: int, rate: int, to_rate: int) -> int:
    """How many samples there are after resampling: as librosa counts them, rounding and all."""
    return math.ceil(frames * (float(to_rate) / rate))


def check_length(frames: int, rate: int, to_rate: int, longest: int) -> None:
    """Raises TooLong where a recording has more samples, after resampling, than a clip."""
    if (count := samples_after(frames, rate, to_rate)) > longest:
        raise TooLong(f"too long: {count / to_rate:g} s after resampling, of at most {longest / to_rate:g}")


def resampled(mono: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """A recording (frames,) at another rate, (samples,) float64, as if it began again and again.

    Of its Fourier transform, what the new rate cannot hold is left out; the rest is transformed back.
    """
    wide = mono.astype(np.float64)
    return wide if rate == to_rate else signal.resample(wide, samples_after(len(wide), rate, to_rate))
