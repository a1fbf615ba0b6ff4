"""What an intervention did to the accuracy, beside its shams."""

from collections.abc import Mapping

import numpy as np

from auscult.explain.measures.intervals import DIFFERENCE, SpeakerIntervals


def compare(
    label: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    intervals: SpeakerIntervals,
    shams: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """What an intervention did, as metrics with 95 % intervals over speakers (`…_low`, `…_high`).

    `intervention/accuracy_before`, `intervention/accuracy_after` and `intervention/flipped`, the share of clips that
    are taken for another class than before, right or wrong. Of each sham, `intervention/<sham>/accuracy_after`, and
    `intervention/<sham>/minus_intervention`: how much further the intervention takes accuracy, clip by clip.

    Args:
        label: (N,) classes.
        before: (N,) classes that the network takes the clips for.
        after: (N,) the same of the changed clips.
        intervals: over the speakers of the N clips.
        shams: (N,) the same after each sham, by its name.
    """
    shares = {"accuracy_before": before == label, "accuracy_after": after == label, "flipped": before != after}
    metrics: dict[str, float] = {}
    for name, share in shares.items():
        metrics |= intervals.described(f"intervention/{name}", share)
    for name, taken in (shams or {}).items():
        right = taken == label
        metrics |= intervals.described(f"intervention/{name}/accuracy_after", right)
        further = right.astype(float) - shares["accuracy_after"]
        metrics |= intervals.described(f"intervention/{name}/minus_intervention", further, DIFFERENCE)
    return metrics
