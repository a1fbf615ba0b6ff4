"""Finds where a signal is loud. The signal comes in parts, as it may be longer than memory."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A part of a signal."""

    at: int  # the position of its first sample in the signal
    samples: np.ndarray  # (n, C) float64
    before: np.ndarray  # (n + 1,) the energy of all channels up to each sample, and up to the end of the part


def with_energy(signal: Iterable[np.ndarray]) -> Iterator[Part]:
    """Yields the parts of a signal that comes as arrays (n, C) float64."""
    at, energy = 0, 0.0
    for samples in signal:
        before = np.empty(len(samples) + 1)
        before[0] = energy
        with np.errstate(over="ignore", invalid="ignore"):  # samples may be infinite or NaN
            np.square(samples).sum(1, out=before[1:])
            np.cumsum(before, out=before)
        yield Part(at, samples, before)
        at, energy = at + len(samples), float(before[-1])


def loud_part(parts: Iterable[Part], frame: int, hop: int, trim_db: float | None) -> tuple[int, int, float, float]:
    """Finds the frames that are less than `trim_db` decibels below the loudest one.

    Args:
        frame, hop: samples of a frame, and from one frame to the next.
        trim_db: None keeps all samples.

    Returns:
        The first and the last (exclusive) sample of these frames; the peak and the mean power of the whole signal.
    """
    length, peak, total = 0, 0.0, 0.0
    begun = np.empty(0)  # energy before the first sample of each frame that has not ended yet
    outermost = _Outermost()
    for at, samples, before in parts:
        peak = float(np.maximum(peak, peak_of(samples)))  # keeps NaN
        begun = np.concatenate((begun, _every(hop, before[:-1], at, first=0)))
        ended = _every(hop, before[:-1], at, first=frame)
        outermost.add(ended - begun[: len(ended)])
        begun, length, total = begun[len(ended) :], at + len(samples), before[-1]
    if trim_db is None or not 0 < peak < np.inf:
        return 0, length, peak, total / max(1, length)
    count = len(range(0, max(length - frame, 0) + hop, hop))  # the last frame may hang over the end
    outermost.add(total - begun[: count - outermost.count])
    first, last = outermost.over(outermost.most * 10 ** (-trim_db / 10))
    return first * hop, min(last * hop + frame, length), peak, total / length


class _Outermost:
    """Finds the first and the last of many values that exceed a bound, where the bound is known only at the end.

    The first such value exceeds all values before it, and the last exceeds all behind it. Only such values are kept.
    """

    def __init__(self) -> None:
        self.count, self.most = 0, -np.inf
        self.firsts, self.lasts = np.empty((2, 0)), np.empty((2, 0))  # position and value of each

    def add(self, values: np.ndarray) -> None:
        """Takes the next values, (n,)."""
        if len(values) == 0:
            return
        placed = np.stack((np.arange(self.count, self.count + len(values)), values))
        most_before = np.maximum.accumulate(np.append(self.most, values))[:-1]
        most_behind = np.append(np.maximum.accumulate(values[:0:-1])[::-1], -np.inf)
        self.firsts = np.concatenate((self.firsts, placed[:, values > most_before]), axis=1)
        lasts = self.lasts[:, self.lasts[1] > values.max()]
        self.lasts = np.concatenate((lasts, placed[:, values > most_behind]), axis=1)
        self.count, self.most = self.count + len(values), max(self.most, values.max())

    def over(self, bound: float) -> tuple[int, int]:
        """Positions of the first and the last value over a bound; the bound must be below the largest value."""
        return int(self.firsts[0][self.firsts[1] > bound][0]), int(self.lasts[0][self.lasts[1] > bound][-1])


def loudest_window(parts: Iterable[Part], start: int, stop: int, length: int) -> tuple[int, np.ndarray]:
    """Finds the window of `length` samples with the most energy: its first sample, and its samples (length, C).

    Args:
        start, stop: the window lies between these samples.
    """
    most, best = -1.0, (start, np.empty((0, 1)))
    first = start  # the position of samples[0]
    samples, before = None, np.empty(0)
    for at, part, energy in parts:
        begin, end = max(start - at, 0), min(stop - at, len(part))
        if begin >= end:
            continue
        samples = part[begin:end] if samples is None else np.concatenate((samples, part[begin:end]))
        before = np.concatenate((before[:-1], energy[begin : end + 1]))
        if len(samples) < length:
            continue
        gains = before[length:] - before[:-length]
        i = int(np.argmax(gains))
        if gains[i] > most:
            most, best = gains[i], (first + i, samples[i : i + length].copy())
        first += len(gains)
        samples, before = samples[len(gains) :], before[len(gains) :]
    return best


def peak_of(samples: np.ndarray) -> float:
    """The largest magnitude."""
    return float(max(samples.max(initial=0), -samples.min(initial=0)))


def _every(hop: int, values: np.ndarray, at: int, first: int) -> np.ndarray:
    """The values at the positions `first`, `first + hop`, … of a signal; `values` is the part that begins at `at`."""
    return values[max(first - at, (first - at) % hop) :: hop].copy()
