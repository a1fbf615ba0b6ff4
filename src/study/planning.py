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
        effect: the difference as Cohen's d_z, by the standard deviation of participants' own differences, above 0.
        comparisons: how many primary ones there are. Alpha is divided by them (Bonferroni), which Holm's correction
            needs at most.
        clips: that are judged under both conditions.
        clip_effect: the difference by the standard deviation of what it truly is on single clips; None: it is the same
            on all.

    Raises:
        Mistake: so many clips are too few, whoever takes part; or more participants than there are people.
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
    said = f"{needed} participants, each of whom judges {clips} clips and finishes, for {tests}."
    if clip_effect is None:
        return (
            f"{said} This takes the difference to be the same on all clips. Where it is not, more participants cannot"
            " make up for few clips: say clip_effect=…"
        )
    if highest_power(clips, clip_effect, alpha / comparisons) > 0.9995:
        return said
    most = np.floor(1000 * highest_power(clips, clip_effect, alpha / comparisons)) / 1000
    return f"{said} With these clips, no number of participants brings a power above {most:g}."


def highest_power(clips: int, clip_effect: float | None, alpha: float) -> float:
    """That of endlessly many participants, who leave what clips differ in: a paired t-test by clips."""
    return 1.0 if clip_effect is None else float(TTestPower().power(clip_effect, clips, alpha))


def power_of(effect: float, participants: int, alpha: float, clips: int, clip_effect: float | None) -> float:
    """How probably the test finds a difference of 1, whose squared standard error is known but for its estimate.

    Participants differ as single answers do, not in what conditions do to them, where the test is most careful. The
    variances by participants and by clips are chi-squared; their quantiles stand for all that they may be.
    """
    single = 1 / (effect**2 * participants)
    between = 0.0 if clip_effect is None else 1 / (clip_effect**2 * clips)
    people = single * stats.chi2.ppf(QUANTILES, participants - 1) / (participants - 1)
    sounds = (single + between) * stats.chi2.ppf(QUANTILES, clips - 1)[:, None] / (clips - 1)
    error = np.sqrt(np.maximum(people + sounds - single, np.maximum(people, sounds)))
    bound = stats.t.ppf(1 - alpha / 2, min(participants, clips) - 1) * error
    true = np.sqrt(single + between)
    return float((stats.norm.sf((bound - 1) / true) + stats.norm.cdf((-bound - 1) / true)).mean())
