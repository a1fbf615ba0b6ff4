"""The one way from clips to relevance: front end, logits, target, relevance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auscult.explain.attribution.base import Attribution
from auscult.explain.attribution.cost import timed
from auscult.explain.domain.domains import Domain

Target = int | str | Tensor  # a class; "predicted" or "true"; or a class for each clip, (B,) int64


@dataclass(frozen=True)
class Explained:
    """The explanation of B clips.

    Args:
        input: (B, ...), input of the network of the domain's model.
        logits: (B, C).
        target: (B,) int64, the class that is explained.
        relevance: (B, ...), of the input.
        apart: (B,) relevance that the domain cannot show.
        biases: (B,) relevance that the network's biases got; None if the attribution does not separate it.
        unshared: (B,) relevance that nothing could get, likewise.
        seconds: time for the logits, and time for the relevance.
    """

    input: Tensor
    logits: Tensor
    target: Tensor
    relevance: Tensor
    apart: Tensor
    biases: Tensor | None
    unshared: Tensor | None
    seconds: tuple[float, float]


def explain(
    domain: Domain,
    attribution: Attribution,
    waveform: Tensor,
    target: Target = "predicted",
    label: Tensor | None = None,
) -> Explained:
    """Explains clips.

    Args:
        domain: where relevance is looked at, with the model that is explained.
        attribution: the method.
        waveform: (B, C, T).
        target: the class whose logit is explained.
        label: (B,) int64, for the target "true".

    Raises:
        Mistake: the attribution cannot explain this model, or not in this domain.
    """
    with torch.no_grad():
        input = domain.model.front_end(waveform)
        logits, passing = timed(lambda: domain.model.logits(input))
    chosen = target_of(target, logits, label)
    (relevance, apart), explaining = timed(lambda: domain.relevance(attribution, waveform, input, chosen))
    biases, unshared = attribution.biases, attribution.unshared
    return Explained(input, logits, chosen, relevance, apart, biases, unshared, (passing, explaining))


def target_of(target: Target, logits: Tensor, label: Tensor | None = None) -> Tensor:
    """The class to explain for each clip, (B,) int64, given logits (B, C) and, for "true", labels (B,)."""
    if isinstance(target, Tensor):
        return target
    if target == "predicted":
        return logits.argmax(1)
    if target == "true":
        assert label is not None
        return label
    return torch.full((len(logits),), int(target), dtype=torch.int64, device=logits.device)


def relative_to_logit(relevance: Any, logit: Any) -> np.ndarray:
    """Relevance as a share of |logit|, for numbers or arrays (N,); a logit of 0 counts as the least above it."""
    return np.asarray(relevance / np.maximum(np.abs(logit), np.finfo(np.float32).tiny))
