"""Which attribution is best by each measure, and which cannot be told apart from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from src.explain.bootstrap import SpeakerBootstrap

LOWER_IS_BETTER = (
    "cost/passes",
    "cost/milliseconds",
    "deletion/accuracy",
    "deletion/probability",
    "complexity/entropy",
    "faithfulness/drop",
)


@dataclass(frozen=True)
class Entry:
    """What one attribution was measured by in one domain.

    Args:
        domain, attribution: their names.
        values: (N,) of the clips, by measure.
        speakers: (N,) of the clips.
    """

    domain: str
    attribution: str
    values: dict[str, np.ndarray]
    speakers: list[str]


def table_of(entries: Sequence[Entry], seed: int) -> pd.DataFrame:
    """A row per entry and measure: domain, attribution, measure, mean, low, high, rank.

    `rank` is "best", "tied" where the 95 % interval of the difference to the best of its domain includes none, or "".
    Speakers are resampled; the resamples are the same for all, so that differences are paired.
    """
    rows = []
    for domain in dict.fromkeys(entry.domain for entry in entries):
        group = [entry for entry in entries if entry.domain == domain]
        for measure in dict.fromkeys(name for entry in group for name in entry.values):
            rows += ranked([entry for entry in group if measure in entry.values], measure, seed)
    return pd.DataFrame(rows, columns=["domain", "attribution", "measure", "mean", "low", "high", "rank"])


def ranked(group: Sequence[Entry], measure: str, seed: int) -> list[dict[str, Any]]:
    """The rows of one measure in one domain."""
    values = np.stack([entry.values[measure] for entry in group], 1)  # (N, A)
    known = ~np.isnan(values).any(1)  # for some clips there is nothing to measure
    if not known.any():
        return []
    bootstrap = SpeakerBootstrap([name for name, kept in zip(group[0].speakers, known, strict=True) if kept], seed=seed)
    means, resampled = values[known].mean(0), bootstrap.means(values[known])  # (A,), (R, A)
    low, high = bootstrap.interval(resampled)
    best = int((means if measure in LOWER_IS_BETTER else -means).argmin())
    behind = bootstrap.interval(resampled - resampled[:, best : best + 1])
    is_tied = (behind[0] <= 0) & (behind[1] >= 0)
    ranks = ["best" if number == best else "tied" if is_tied[number] else "" for number in range(len(group))]
    if measure.startswith("localisation/chance"):
        ranks = [""] * len(group)
    return [
        {
            "domain": entry.domain, "attribution": entry.attribution, "measure": measure,
            "mean": means[number], "low": low[number], "high": high[number], "rank": ranks[number],
        }
        for number, entry in enumerate(group)
    ]  # fmt: skip
