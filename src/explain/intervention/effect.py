"""The effect of an intervention on accuracy, compared with its shams."""

from collections.abc import Mapping

import numpy as np

from auscult.intervals import DIFFERENCE, SpeakerIntervals


def compare(
    label: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    intervals: SpeakerIntervals,
    shams: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """The effect of an intervention, as metrics with 95 % intervals over speakers (`…_low`, `…_high`).

    The metrics are `intervention/accuracy_before`, `intervention/accuracy_after` and `intervention/flipped`, the share
    of clips whose prediction changes, right or wrong. For each sham there are `intervention/<sham>/accuracy_after` and
    `intervention/<sham>/minus_intervention`: how much lower accuracy is after the intervention than after the sham.

    Args:
        label: (N,) classes.
        before: (N,) predicted classes of the clips.
        after: (N,) predicted classes of the changed clips.
        intervals: intervals over the speakers of the N clips.
        shams: (N,) predicted classes after each sham, by the name of the sham.
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
