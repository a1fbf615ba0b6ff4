"""A signal in parts, at another rate and without what lies below a frequency."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import soxr
from scipy import signal

from auscult.datamodules.audio.audio_file import BLOCK

FULL_SCALE = 32768  # of 16 bits


def mono_of(block: np.ndarray, channel: int | None) -> np.ndarray:
    """(frames,) of (frames, channels): a channel, or the average of all."""
    if block.shape[1] == 1 or channel is not None:
        return block[:, channel or 0]
    total = block[:, 0].astype(np.float64)
    for other in block.T[1:]:  # ten times as fast as the mean over an axis of two
        total += other
    return total / block.shape[1]


def mono_at_rate(
    blocks: Iterator[np.ndarray], channel: int | None, mean: float, rate: int, to_rate: int
) -> Iterator[np.ndarray]:
    """A channel, or the average of all, less `mean`, at another rate in hertz.

    Args:
        blocks: (frames, channels) each; the result does not depend on how long they are.

    Yields:
        Parts (n,) float64.
    """
    resampler: soxr.ResampleStream | None = None
    step = max(1, min(BLOCK, BLOCK * rate // to_rate))  # a low rate becomes many more samples
    for block in blocks:
        mono = mono_of(block, channel) - mean
        # The resampler works in float32, whatever it is given, and is quickest with that.
        resampler = resampler or soxr.ResampleStream(rate, to_rate, 1, dtype=mono.dtype, quality="HQ")
        full_scale = FULL_SCALE if block.dtype == np.int16 else 1  # only now: there are fewer samples
        for start in range(0, len(mono), step):
            yield resampler.resample_chunk(mono[start : start + step]) / np.float64(full_scale)
    if resampler is not None:
        yield resampler.resample_chunk(mono[:0], last=True) / np.float64(full_scale)


def highpass(mono: np.ndarray, rate: int, cutoff_hz: float | None) -> np.ndarray:
    """Fourth-order Linkwitz-Riley filter: two Butterworth filters of second order, 6 dB down at the cutoff.

    It runs forwards only, so that nothing rings before a word begins.
    """
    return next(highpassed(iter([mono]), rate, cutoff_hz), mono)


def highpassed(parts: Iterator[np.ndarray], rate: int, cutoff_hz: float | None) -> Iterator[np.ndarray]:
    """The same filter, on a signal in parts (n,) at `rate` hertz; None leaves it as it is."""
    state: np.ndarray | None = None
    for part in parts:
        if cutoff_hz is not None and len(part):
            sections, settled = _butterworth(rate, cutoff_hz)
            part, state = signal.sosfilt(sections, part, zi=settled * part[0] if state is None else state)
        yield part


@cache
def _butterworth(rate: int, cutoff_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The filter's sections, and their state after a long constant 1."""
    sections = np.tile(signal.butter(2, cutoff_hz, btype="highpass", fs=rate, output="sos"), (2, 1))
    return sections, signal.sosfilt_zi(sections)
