"""Mixes channels, resamples and high-pass filters signals that come in parts.

SciPy's filters are imported where they are used: that takes a second, and most mistakes are named before.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import soxr

from auscult.datamodules.audio.audio_file import BLOCK

FULL_SCALE = 32768  # of samples with 16 bits


def mono_of(block: np.ndarray, channel: int | None) -> np.ndarray:
    """One channel (frames,) of a block (frames, channels), or the average of all channels."""
    if block.shape[1] == 1 or channel is not None:
        return block[:, channel or 0]
    total = block[:, 0].astype(np.float64)
    for other in block.T[1:]:  # ten times as fast as a mean over an axis of two
        total += other
    return total / block.shape[1]


def kept_of(block: np.ndarray, channels: int, channel: int | None) -> np.ndarray:
    """The channels that a clip keeps, (frames, C), of a block (frames, channels).

    Args:
        channels: C. One is `mono_of`; several are those of the block, or its only one for each of them.
        channel: see `mono_of`.
    """
    if channels == 1:
        return mono_of(block, channel)[:, None]
    return np.broadcast_to(block, (len(block), channels))


def at_rate(
    blocks: Iterator[np.ndarray], channel: int | None, mean: np.ndarray, rate: int, to_rate: int
) -> Iterator[np.ndarray]:
    """Resamples the channels of `kept_of` after subtracting each one's `mean`, (C,). Rates are in hertz.

    Args:
        blocks: arrays (frames, channels); the result does not depend on their lengths.
        channel: see `mono_of`.

    Yields:
        Parts (n, C) float64.
    """
    resampler: soxr.ResampleStream | None = None
    step = max(1, min(BLOCK, BLOCK * rate // to_rate))  # resampling a low rate makes many more samples
    for block in blocks:
        centred = kept_of(block, len(mean), channel) - mean
        # The resampler computes in float32 for any input, and is fastest with float32.
        resampler = resampler or soxr.ResampleStream(rate, to_rate, len(mean), dtype=centred.dtype, quality="HQ")
        full_scale = FULL_SCALE if block.dtype == np.int16 else 1  # divided after resampling: fewer samples
        for start in range(0, len(centred), step):
            yield resampler.resample_chunk(centred[start : start + step]) / np.float64(full_scale)
    if resampler is not None:
        yield resampler.resample_chunk(centred[:0], last=True) / np.float64(full_scale)


def highpass(mono: np.ndarray, rate: int, cutoff_hz: float | None) -> np.ndarray:
    """Applies a fourth-order Linkwitz-Riley filter to a signal (n,).

    It is two Butterworth filters of second order, 6 dB down at the cutoff. They run forwards only, so that nothing
    rings before a word begins.
    """
    return next(highpassed(iter([mono[:, None]]), rate, cutoff_hz))[:, 0]


def highpassed(parts: Iterator[np.ndarray], rate: int, cutoff_hz: float | None) -> Iterator[np.ndarray]:
    """Applies the filter of `highpass` to a signal in parts (n, C) at `rate` hertz; None leaves the signal as it is."""
    from scipy import signal

    state: np.ndarray | None = None
    for part in parts:
        if cutoff_hz is not None and len(part):
            sections, settled = _butterworth(rate, cutoff_hz)
            part, state = signal.sosfilt(sections, part, 0, settled * part[0] if state is None else state)
        yield part


@cache
def _butterworth(rate: int, cutoff_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The filter's sections, and their state after a long input of ones, (sections, 2, 1)."""
    from scipy import signal

    sections = np.tile(signal.butter(2, cutoff_hz, btype="highpass", fs=rate, output="sos"), (2, 1))
    return sections, signal.sosfilt_zi(sections)[..., None]
