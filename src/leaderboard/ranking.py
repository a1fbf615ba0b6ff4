"""Which attribution is best by each measure, and which ones cannot be distinguished from the best.

The best of many attributions is best partly by luck. If the others were tested against the best only, most tables would
show differences between equally good attributions. Therefore all pairs are tested: by paired t-tests over speakers,
with Holm's correction. Then at most 5 % of the tables show a difference between equal attributions, by simulation
(`tests/leaderboard/test_ranking.py`). A table has one measure and one domain (`across/…`: all domains that share a
scale). The correction is over all pairs of a table.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auscult.explain.measures.catalogue import measure_of, measures
from auscult.explain.measures.cost import COST
from auscult.explain.measures.measure import Better, Measure, Topic
from auscult.intervals import ENOUGH, SpeakerIntervals

ACROSS = Topic("across", "the measures on a scale that all domains share, ranked over all domains.", 1)
RANKED = (Better.LOWER, Better.HIGHER)
CONTROLS = ("amplitude", "random")  # they know nothing of the network: none of them is the best
ALPHA = 0.05  # share of tables that may show a difference between equal attributions


@dataclass(frozen=True)
class Entry:
    """The measures of one attribution in one domain.

    Args:
        domain, attribution: their names.
        values: (N,), values per clip, by measure.
        speakers: (N,), speaker of each clip.
        curves: places (F,) and values (N, F), by name.
        clips: (N,), path of each clip.
        folder: folder of its explanation.
        shares_scale: whether its energy is that of the signal.
        definition: definition of its fractions, see `perturbation`.
    """

    domain: str
    attribution: str
    values: dict[str, np.ndarray]
    speakers: list[str]
    curves: dict[str, tuple[Sequence[float], np.ndarray]] = field(default_factory=dict)
    clips: list[str] = field(default_factory=list)
    folder: Path = Path()
    shares_scale: bool = True
    definition: str = "sounding"


def table_of(entries: Sequence[Entry]) -> pd.DataFrame:
    """Makes a row per entry and measure: domain, attribution, measure, mean, low, high, rank.

    `low` and `high` are the ends of the 95 % interval of the mean. `rank` is "best", "tied" if it cannot be
    distinguished from the best of its domain, "ahead" of a control that does better than the best, or ""; of too few
    speakers, nothing is. Controls are not among those of which one is the best. Measures named `across/…` are ranked
    over all domains. Cost is not ranked. Measures without a best have the rank "fails" if the mean is further from zero
    than `Measure.fails_above`.
    """
    rows: list[dict[str, Any]] = []
    domains = list(dict.fromkeys(entry.domain for entry in entries))
    for domain in domains:
        group = [entry for entry in entries if entry.domain == domain]
        for column in dict.fromkeys(name for entry in group for name in entry.values):
            rows += ranked([entry for entry in group if column in entry.values], column)
    for measure in [measure for measure in measures() if measure.shares_scale]:
        sharing = [entry for entry in entries if entry.shares_scale and measure.column in entry.values]
        if len({entry.domain for entry in sharing}) > 1:
            rows += [{**row, "measure": across(measure)} for row in ranked(sharing, measure.column)]
    rows.sort(key=lambda row: (domains.index(row["domain"]), topic_of(row["measure"]).place))
    return pd.DataFrame(rows, columns=["domain", "attribution", "measure", "mean", "low", "high", "rank"])


def across(measure: Measure) -> str:
    """The name of a measure that is ranked over all domains."""
    return f"{ACROSS.name}/{measure.name}"


def shown_in(column: str) -> Measure:
    """The measure that a column of a leaderboard shows."""
    sharing = (measure for measure in measures() if measure.shares_scale and across(measure) == column)
    return next(sharing, None) or measure_of(column)


def topic_of(column: str) -> Topic:
    """The topic of a column of a leaderboard."""
    return ACROSS if column.startswith(f"{ACROSS.name}/") else measure_of(column).topic


def ranked(group: Sequence[Entry], column: str) -> list[dict[str, Any]]:
    """Ranks entries by one measure, and returns their rows."""
    measure = measure_of(column)
    values = np.stack([entry.values[column] for entry in group], 1)  # (N, A)
    known = ~np.isnan(values).any(1)  # some clips have nothing to measure
    if not known.any():
        return []
    intervals = SpeakerIntervals([name for name, kept in zip(group[0].speakers, known, strict=True) if kept])
    values = values[known]
    means, (low, high) = values.mean(0), intervals.of_mean(values, measure.bounds)  # (A,) each
    if measure.topic is COST:  # one figure for all clips of a batch: speakers say nothing of its error
        low, high = np.full((2, len(group)), np.nan)
    if measure.topic is COST or (measure.better in RANKED and intervals.effective < ENOUGH):
        ranks = [""] * len(group)
    elif measure.better in RANKED:
        losses = means if measure.better == Better.LOWER else -means
        is_control = np.array([entry.attribution in CONTROLS for entry in group])
        best = int(np.where(is_control & ~is_control.all(), np.inf, losses).argmin())
        is_tied = ~told_apart(values, intervals)[best]
        ranks = [
            "tied" if tied else "ahead" if loss < losses[best] else ""
            for tied, loss in zip(is_tied, losses, strict=True)
        ]
        ranks[best] = "best"
    else:
        most = np.inf if measure.fails_above is None else measure.fails_above
        ranks = ["fails" if abs(mean) > most else "" for mean in means]
    return [
        {
            "domain": entry.domain, "attribution": entry.attribution, "measure": column,
            "mean": means[number], "low": low[number], "high": high[number], "rank": ranks[number],
        }
        for number, entry in enumerate(group)
    ]  # fmt: skip


def told_apart(values: np.ndarray, intervals: SpeakerIntervals) -> np.ndarray:
    """Which pairs of A attributions differ, (A, A) bool, by paired t-tests of values (N, A)."""
    count = values.shape[1]
    apart = np.zeros((count, count), bool)
    one, other = np.array(list(itertools.combinations(range(count), 2)), int).reshape(-1, 2).T  # (P,)
    p = holm(intervals.p_values(values[:, one] - values[:, other]))
    apart[one, other] = apart[other, one] = p < ALPHA
    return apart


def holm(p: np.ndarray) -> np.ndarray:
    """Corrects p-values (P,) by Holm's method.

    The result equals that of statsmodels' `multipletests(p, method="holm")`. That function collects garbage at each
    call, which would take minutes for the hundreds of tables of a leaderboard.
    """
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected[np.argsort(order)]
