"""How sure a mean over clips is, given how few speakers said them.

A speaker's clips resemble each other, so a mean over clips is as sure as the number of speakers allows, not that of
clips. With the 5 to 30 speakers of a test fold, percentiles of a bootstrap are too narrow: of intervals that are called
95 %, 74 to 91 % cover. Student's t covers 95 % of ordinary values, but falls to 85 % near an end of the scale, as at an
accuracy of 0.97, where a mean lies unevenly about the truth. These are Student's intervals of the logit of the mean.
92 to 97 % of them cover, by simulation (`tests/explain/measures/test_intervals.py`), at ordinary values and near the
ends, with unequal numbers of clips. Where most of a few speakers are at the end of the scale, 99 % do. Where speakers
are very uneven, most of them at the end of the scale and few far from it (an accuracy of 0.97 with a deviation of 0.06
between speakers), 98 to 99 % do with 11 speakers or fewer, and 90 to 94 % with 15 to 30.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse, stats
from scipy.special import expit, logit

Bounds = tuple[float, float] | None

SHARE: Bounds = (0.0, 1.0)  # of accuracies, probabilities and other shares
DIFFERENCE: Bounds = (-1.0, 1.0)  # of two shares, or a correlation
LEVEL = 0.95
EQUAL = 1e-12  # what is nearer to zero is rounding
ENOUGH = 2 - 1e-9  # effective speakers: below, there are no degrees of freedom


class SpeakerIntervals:
    """Intervals of means over clips, for other speakers than those who were recorded.

    Args:
        speakers: (N,) of each clip.
    """

    def __init__(self, speakers: Sequence[str]) -> None:
        names, speaker, clips = np.unique(np.asarray(speakers), return_inverse=True, return_counts=True)
        self.averaging = sparse.csr_array((1 / clips[speaker], (speaker, np.arange(len(speaker)))))  # (S, N)
        self.share = clips / clips.sum()  # (S,) of all clips
        self.effective = 1 / (self.share**2).sum()  # so many speakers with equally many clips would be as sure
        self.size = len(names)

    def of_speakers(self, values: np.ndarray) -> np.ndarray:
        """Each speaker's own mean (S, ...), of values (N, ...)."""
        flat = values.reshape(len(values), -1).astype(np.float64)
        return (self.averaging @ flat).reshape(self.size, *values.shape[1:])

    def of_mean(self, values: np.ndarray, bounds: Bounds = SHARE) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end (...) of the 95 % interval of the mean over clips, of values (N, ...).

        The standard error is the jackknife's. Student's t has as many degrees of freedom as speakers with equally many
        clips would have (Kish's effective number, less one). Between bounds, the interval is symmetric on the logit
        scale (the delta method); where all clips are at a bound, it ends where Wilson's does for as many speakers.

        Args:
            bounds: the lowest and highest value that a clip can have; None: there are none.

        Returns:
            Not a number where there are too few speakers to say anything: fewer than the equivalent of two, or all of
            them with the same mean by luck, though their clips differ.
        """
        mean, error = values.mean(0, dtype=np.float64), self.error(values)
        quantile = stats.t.ppf((1 + LEVEL) / 2, self.effective - 1)
        if bounds is None:
            low, high = mean - quantile * error, mean + quantile * error
        else:
            span = bounds[1] - bounds[0]
            ends = on_logit_scale((mean - bounds[0]) / span, error / span, quantile, self.effective)
            low, high = (bounds[0] + span * end for end in ends)
        is_luck = (error < EQUAL) & (np.ptp(values.astype(np.float64), axis=0) > EQUAL)
        unknown = is_luck | np.isnan(error)
        return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)

    def error(self, values: np.ndarray) -> np.ndarray:
        """The jackknife's standard error (...) of the mean over clips, of values (N, ...).

        Each speaker is left out once. Not a number where there are too few speakers.
        """
        if self.effective < ENOUGH:
            return np.full(values.shape[1:], np.nan)
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        without = (values.mean(0, dtype=np.float64) - share * self.of_speakers(values)) / (1 - share)  # (S, ...)
        return np.sqrt((self.size - 1) * without.var(0))

    def p_values(self, values: np.ndarray) -> np.ndarray:
        """Of Student's test that the mean over clips is zero, two-sided, (...) of values (N, ...).

        1 where all are zero; not a number where there are too few speakers, as of `of_mean`.
        """
        mean, error = values.mean(0, dtype=np.float64), self.error(values)
        size = np.divide(np.abs(mean), error, out=np.where(np.abs(mean) < EQUAL, 0.0, np.inf), where=error > EQUAL)
        size = np.where(np.isnan(error), np.nan, size)
        return 2 * stats.t.sf(size, self.effective - 1)

    def described(self, name: str, values: np.ndarray, bounds: Bounds = SHARE) -> dict[str, float]:
        """The mean of values (N,) as metrics `name`, `name_low` and `name_high`, without what is not a number."""
        low, high = self.of_mean(values, bounds)
        metrics = {name: float(values.mean(dtype=np.float64)), f"{name}_low": float(low), f"{name}_high": float(high)}
        return {name: number for name, number in metrics.items() if not math.isnan(number)}


def on_logit_scale(mean: np.ndarray, error: np.ndarray, quantile: float, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends (...) of the interval of means (...) from 0 to 1, given their standard errors and Student's quantile.

    At 0 and 1, one end is the mean and the other that of Wilson's score interval for `size` speakers.
    """
    inner = np.clip(mean, 1e-12, 1 - 1e-12)
    middle, reach = logit(inner), quantile * error / (inner * (1 - inner))
    farthest = quantile**2 / (size + quantile**2)
    low = np.where(mean >= 1, 1 - farthest, np.where(mean <= 0, 0, expit(middle - reach)))
    high = np.where(mean <= 0, farthest, np.where(mean >= 1, 1, expit(middle + reach)))
    return low, high
