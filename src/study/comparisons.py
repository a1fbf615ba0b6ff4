"""Conditions of a study, two at a time: the test that its plan names, and all others, which explore."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from auscult.study.crossed import EQUAL, Estimate, estimate
from auscult.study.plan import CLIPS, MEASURES, Comparison


def compare(counted: pd.DataFrame, planned: Sequence[Comparison] = ()) -> pd.DataFrame:
    """Each two conditions, by each measure and kind of clips: their difference, its 95 % interval and its tests.

    The role of a row is "primary" if the study's plan names it, otherwise "exploratory". Each role is a family of its
    own for Holm's correction, `p_holm`. If conditions do not differ, each family finds something in about 5 % of
    simulated studies. A test that cannot be computed, such as one of equal differences, counts in the correction, too.

    `t`, `df`, `p`, `low` and `high` take participants and clips as drawn from many (see `crossed.estimate`).
    `p_by_participants` and `p_by_clips` come from paired t-tests that take only participants, or only clips, as drawn
    from many. `d_z` is Cohen's, over participants: the mean of their differences, divided by their standard deviation
    (Lakens 2013, doi 10.3389/fpsyg.2013.00863).

    Args:
        counted: see `Answers.counted`.
        planned: what the study's plan names. Its rows come first.
    """
    every = itertools.product(itertools.combinations(sorted(counted["condition"].unique()), 2), MEASURES, CLIPS)
    others = [Comparison(one, other, measure, kind) for (one, other), measure, kind in every]
    named = {comparison.regardless_of_order for comparison in planned}
    comparisons = [("primary", each) for each in planned]
    comparisons += [("exploratory", each) for each in others if each.regardless_of_order not in named]
    rows = [{"role": role, **row} for role, each in comparisons if (row := tested(counted, each))]
    table = pd.DataFrame(rows)
    if not table.empty:
        table["p_holm"] = table.groupby("role")["p"].transform(holm)
    return table


def tested(counted: pd.DataFrame, comparison: Comparison) -> dict[str, Any]:
    """A row of `compare`; empty if fewer than two participants met both conditions."""
    is_of = counted["condition"].isin([comparison.one, comparison.other]) & counted[comparison.measure].notna()
    part = counted[is_of & ((comparison.clips == "all") | (counted["clips"] == comparison.clips))]
    values, people, clips = (part[name].to_numpy() for name in (comparison.measure, "participant", "clip"))
    estimated = estimate(values, people, clips, (part["condition"] == comparison.other).to_numpy())
    if len(estimated.by_participants) < 2:
        return {}
    return {
        "measure": comparison.measure, "clips": comparison.clips, "one": comparison.one, "other": comparison.other,
        "participants": len(estimated.by_participants), "recordings": len(estimated.by_clips), **described(estimated),
    }  # fmt: skip


def described(estimated: Estimate) -> dict[str, float]:
    """An estimate as the analysis' table has it."""
    low, high = estimated.interval
    spread = estimated.by_participants.std(ddof=1)
    return {
        "difference": estimated.value, "low": low, "high": high,
        "d_z": estimated.value / spread if spread > EQUAL else np.nan,
        "t": estimated.t, "df": estimated.freedom, "p": estimated.p,
        "p_by_participants": paired(estimated.by_participants), "p_by_clips": paired(estimated.by_clips),
    }  # fmt: skip


def paired(differences: np.ndarray) -> float:
    """The p-value of a paired t-test; NaN if all differences are alike, or if there is only one."""
    if len(differences) < 2 or np.ptp(differences) < EQUAL:
        return np.nan
    t = differences.mean() / stats.sem(differences)
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))


def holm(p: pd.Series) -> pd.Series:
    """Holm's correction of a family's p-values. NaN, which stands for what could not be tested, stays NaN."""
    corrected = multipletests(p.fillna(1), method="holm")[1]
    return pd.Series(corrected, p.index).where(p.notna())
