import math
from collections.abc import Sequence

import numpy as np


class SpeakerBootstrap:
    """How far a mean over clips would move had other speakers been recorded: a cluster bootstrap.

    A speaker's clips resemble each other, so speakers are resampled, with replacement and all their clips, and not
    clips. The resamples are the same for every statistic; differences of means are therefore paired.

    Args:
        speakers: (N,) of each clip.
        resamples: how many, R.
        seed: of the draws.
    """

    def __init__(self, speakers: Sequence[str], resamples: int = 1000, seed: int = 0) -> None:
        names, self.speaker = np.unique(np.asarray(speakers), return_inverse=True)  # (S,), (N,)
        self.size = len(names)
        draws = np.random.default_rng(seed).multinomial(self.size, np.full(self.size, 1 / self.size), size=resamples)
        clips = np.bincount(self.speaker, minlength=self.size)
        self.weight = draws / (draws @ clips)[:, None]  # (R, S) of each of a speaker's clips in the mean

    def means(self, values: np.ndarray) -> np.ndarray:
        """Means (R, ...) over the clips of each resample, of values (N, ...)."""
        sums = np.zeros((self.size, *values.shape[1:]))
        np.add.at(sums, self.speaker, values)
        return np.tensordot(self.weight, sums, axes=1)

    def interval(self, resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end (...) of the 95 % percentile interval of a statistic's resamples (R, ...).

        Both are not a number where there are fewer than two speakers, who tell nothing about others.
        """
        low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
        return (low, high) if self.size > 1 else (low * np.nan, high * np.nan)

    def described(self, name: str, value: float, resampled: np.ndarray) -> dict[str, float]:
        """A statistic as metrics: `name`, `name_low` and `name_high`, without those that are not a number.

        Args:
            name: the metric's.
            value: of the statistic.
            resampled: (R,) the same of the resamples.
        """
        low, high = self.interval(resampled)
        metrics = {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
        return {name: number for name, number in metrics.items() if not math.isnan(number)}
