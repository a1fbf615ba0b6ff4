"""How positive relevance is spread along an axis, and which part of the axis holds half of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auscult.intervals import DIFFERENCE, SpeakerIntervals

CELL = {"ms": 10.0, "Hz": 8.0}  # of a profile along a single axis; within it, relevance changes its sign


@dataclass(frozen=True)
class Profiles:
    """Positive relevance of n clips along one axis.

    Args:
        places: (N,) centres of the cells, in hertz or in seconds from the onset.
        shares: (n, N), each clip's positive relevance in each cell; they sum to 1, or to 0 if there is none.
        even: (n, N), what they would be if relevance were even over the sound of each clip; they sum to 1.
    """

    places: np.ndarray
    shares: np.ndarray
    even: np.ndarray


@dataclass(frozen=True)
class Half:
    """The shortest range of an axis with half of the positive relevance of some clips.

    Args:
        first, last: the range's cells.
        share: what the range holds for a speaker whose clips did not choose it; mean over clips. NaN if there is one
            speaker only.
        low, high: its 95 % interval over speakers; NaN if there are too few.
        even: what the range would hold of even relevance.
        is_sure: whether it holds more than that, by the 95 % interval of the difference over speakers.
    """

    first: int
    last: int
    share: float
    low: float
    high: float
    even: float
    is_sure: bool


def along_axes(relevance: np.ndarray, cell: int) -> tuple[np.ndarray, ...]:
    """Positive relevance along each axis of a clip's relevance: of bins (F, N), or along its only axis in cells.

    Args:
        relevance: (F, N), (T,) or (F,).
        cell: places of a single axis that are put together, with their signs.

    Returns:
        (F,) and (N,); or one of (T // cell,), rounded up.
    """
    if relevance.ndim == 2:
        positive = np.maximum(relevance, 0)
        return positive.sum(1), positive.sum(0)
    return (np.maximum(np.add.reduceat(relevance, np.arange(0, len(relevance), cell)), 0),)


def shares_of(mass: np.ndarray) -> np.ndarray:
    """Masses (..., N) as shares of their sum; zeros where there is none."""
    total = mass.sum(-1, keepdims=True)
    return np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)


def half_of(profiles: Profiles, speakers: Sequence[str]) -> Half | None:
    """Where half of the positive relevance of clips lies; None if they have none.

    The range is that of all clips. How much it holds is measured on each speaker with the range that the clips of all
    others give: on the clips that chose it, a range would hold half of their relevance in any case.

    Args:
        profiles: of n clips.
        speakers: (n,), the speaker of each.
    """
    known = profiles.shares.any(1)
    shares, even, named = profiles.shares[known], profiles.even[known], np.array(speakers)[known]
    if not len(shares):
        return None
    total = shares.sum(0)
    held = np.empty((2, len(shares)))  # of relevance, and of even relevance
    for speaker in np.unique(named):
        own = named == speaker
        if own.all():
            return Half(*shortest_half(total), math.nan, math.nan, math.nan, math.nan, False)
        start, stop = shortest_half(shares[~own].sum(0))
        held[:, own] = shares[own, start : stop + 1].sum(1), even[own, start : stop + 1].sum(1)
    held = held.round(6)  # shares are in single precision
    intervals = SpeakerIntervals(named.tolist())
    low, high = intervals.of_mean(held[0])
    least, _ = intervals.of_mean(held[0] - held[1], DIFFERENCE)
    share, if_even = held.mean(1)
    return Half(*shortest_half(total), float(share), float(low), float(high), float(if_even), bool(least > 0))


def shortest_half(mass: np.ndarray) -> tuple[int, int]:
    """First and last index of the shortest range that holds at least half of a mass (N,); of equals, the fullest.

    Raises:
        ValueError: the mass is zero.
    """
    before = np.concatenate(([0.0], np.cumsum(mass)))  # (N + 1,)
    half = before[-1] / 2 * (1 - 1e-9)  # minus a rounding error
    if not half > 0:
        raise ValueError("no mass has no half")
    for length in range(1, len(before)):
        held = before[length:] - before[:-length]  # (N + 1 - length,)
        if held.max() >= half:
            break
    return int(held.argmax()), int(held.argmax()) + length - 1
