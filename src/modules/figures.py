"""The figures of a test, and how certain they are for other speakers."""

from collections.abc import Sequence

import numpy as np
import torch

from auscult.intervals import DIFFERENCE, POSITIVE, SHARE, SpeakerIntervals
from auscult.modules.answers import Answers

SEVERAL = 3  # clips
BOUNDS = {"mae": POSITIVE, "correlation": DIFFERENCE}


def figures(answers: Answers, read: np.ndarray, labels: np.ndarray, speakers: Sequence[str]) -> dict[str, float]:
    """The metrics of a test by name, each with the ends of its 95 % interval over speakers.

    Args:
        answers: what the network answers.
        read: probabilities or numbers (N, C).
        labels: (N, ...), as the metrics take them.
        speakers: of the N clips.

    Returns:
        `accuracy`, `accuracy_low` and `accuracy_high`, and so on for `answers.measured`; without ends that are unknown.
    """
    intervals = SpeakerIntervals(speakers)
    said: dict[str, float] = {}
    given, true = torch.from_numpy(read[:, 0] if answers.kind == "number" else read).float(), torch.from_numpy(labels)
    for name in answers.measured:
        if name == "correlation" and len(labels) < SEVERAL:
            continue  # two numbers always lie on a line

        def of_clips(clips: np.ndarray, name: str = name) -> float:
            return float(answers.metric(name)(given[clips], true[clips]))

        said |= intervals.described_statistic(name, of_clips, BOUNDS.get(name, SHARE))
    return said
