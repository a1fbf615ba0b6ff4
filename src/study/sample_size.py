"""How many participants a study needs, for the test that it will be analysed by."""

from bisect import bisect_left

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower

from auscult.mistake import Mistake

MOST_PARTICIPANTS = 10**9
QUANTILES = (np.arange(100) + 0.5) / 100


def participants_needed(
    effect: float,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
    clips: int = 20,
    clip_effect: float | None = None,
) -> int:
    """How many participants the test of a primary comparison (`crossed.estimate`) needs to find a difference.

    Args:
        effect: the difference as Cohen's d_z, above 0: divided by the standard deviation of participants' differences.
        comparisons: how many primary comparisons there are. Alpha is divided by their number (Bonferroni); Holm's
            correction needs no more participants.
        clips: how many are judged under both conditions.
        clip_effect: the difference divided by its true standard deviation between clips; None: it is the same on all.

    Raises:
        Mistake: there are too few clips for any number of participants, or it takes more participants than people.
    """
    level = alpha / comparisons
    if (ceiling := highest_power(clips, clip_effect, level)) < power:
        raise Mistake(
            f"clips={clips} are too few: with clip_effect={clip_effect}, no number of participants brings a power of"
            f" {power:g}, but {ceiling:.2g} at most; take more clips."
        )
    counts = range(2, MOST_PARTICIPANTS)
    place = bisect_left(counts, power, key=lambda count: power_of(effect, count, level, clips, clip_effect))
    if place == len(counts):
        raise Mistake(f"effect={effect} is too small to be found by anybody; plan for a larger one.")
    return counts[place]


def told(effect: float, power: float, alpha: float, comparisons: int, clips: int, clip_effect: float | None) -> str:
    """How many participants are needed, in words, and what clips have to do with it. See `participants_needed`."""
    needed = participants_needed(effect, power, alpha, comparisons, clips, clip_effect)
    tests = "the primary comparison" if comparisons == 1 else f"{comparisons} primary comparisons"
    needs = f"{needed} participants, each of whom judges {clips} clips and finishes, for {tests}."
    if clip_effect is None:
        return (
            f"{needs} This takes the difference to be the same on all clips. Where it is not, more participants cannot"
            " make up for few clips: say clip_effect=…"
        )
    if highest_power(clips, clip_effect, alpha / comparisons) > 0.9995:
        return needs
    most = np.floor(1000 * highest_power(clips, clip_effect, alpha / comparisons)) / 1000
    return f"{needs} With these clips, no number of participants brings a power above {most:g}."


def highest_power(clips: int, clip_effect: float | None, alpha: float) -> float:
    """The power with endlessly many participants: that of a paired t-test by clips, as only clips still differ."""
    return 1.0 if clip_effect is None else float(TTestPower().power(clip_effect, clips, alpha))


def power_of(effect: float, participants: int, alpha: float, clips: int, clip_effect: float | None) -> float:
    """The probability that the test finds a difference of 1, whose true squared standard error is known.

    Participants differ by the errors of single answers only, where the test is most careful: conditions have the same
    effect on all. The estimated variances by participants and by clips are chi-squared; quantiles stand for them.
    """
    single = 1 / (effect**2 * participants)
    between = 0.0 if clip_effect is None else 1 / (clip_effect**2 * clips)
    people = single * stats.chi2.ppf(QUANTILES, participants - 1) / (participants - 1)
    sounds = (single + between) * stats.chi2.ppf(QUANTILES, clips - 1)[:, None] / (clips - 1)
    error = np.sqrt(np.maximum(people + sounds - single, np.maximum(people, sounds)))
    bound = stats.t.ppf(1 - alpha / 2, min(participants, clips) - 1) * error
    true = np.sqrt(single + between)
    return float((stats.norm.sf((bound - 1) / true) + stats.norm.cdf((-bound - 1) / true)).mean())
