"""How long a leaderboard will take, from the time that one clip takes by each attribution."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import torch

from auscult.checkpoint.card import trained_config
from auscult.checkpoint.checkpoint import KEY, model_of
from auscult.explain.explanation import source_of
from auscult.explain.measures.checks import Checks
from auscult.explain.measures.energy import Energy
from auscult.explain.relevance.question import Question, question_of
from auscult.mistake import Mistake
from auscult.modules.model import Model

DRAWING = 7.0  # seconds for the report of one attribution
CHANGED = 3  # explanations of a checked clip besides those of a network whose layers are randomised, see `Checks`
OTHERS = 5  # forward passes of a clip for measures besides curves


def estimated(configs: Sequence[dict[str, Any]], checkpoint: dict[str, Any]) -> list[float]:
    """Seconds that each explanation will take on a CPU; 0 for one that is not possible.

    Args:
        configs: checked options of explanations of one checkpoint and the same clips.
        checkpoint: the opened checkpoint.

    Raises:
        Mistake: its clips cannot be read.
    """
    model, first = model_of(checkpoint), configs[0]
    trained = trained_config(checkpoint[KEY], first["data"], first["checkpoint"], reads_corpus=True)
    source = source_of(first, trained, checkpoint[KEY])
    forward, seconds = forward_seconds(model, source.dataset.length), []
    for config in configs:
        began = monotonic()
        try:
            question = question_of(config, model, source)  # which explains one clip
        except Mistake:
            seconds.append(0.0)
            continue
        seconds.append(of_question(question, len(source.clips), monotonic() - began, forward))
    return seconds


def forward_seconds(model: Model, samples: int, clips: int = 8) -> float:
    """Seconds of a forward pass of one of several clips."""
    batch = torch.zeros(clips, 1, samples)
    with torch.no_grad():
        model(batch)  # the first one takes longer
        began = monotonic()
        model(batch)
    return (monotonic() - began) / clips


def of_question(question: Question, clips: int, explaining: float, forward: float) -> float:
    """Seconds of one explanation.

    Args:
        question: how clips are explained and measured.
        clips: how many there are.
        explaining, forward: seconds of explaining one clip, and of a forward pass.
    """
    passes, explanations = OTHERS, clips
    if (removal := question.perturbation) is not None:
        passes += len(removal.orders) * len(removal.fractions)
    for measurement in question.measurements:
        if isinstance(measurement, Energy):
            passes += 2 * len(measurement.fractions)  # deletion and insertion
        if isinstance(measurement, Checks):
            explanations += len(measurement.rows) * (measurement.layers + CHANGED)
    return explanations * explaining + clips * passes * forward + DRAWING
