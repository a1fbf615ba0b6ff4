"""Measures that show what conservation cannot: relevance without bounds, and relevance that is blind to the class.

Relevance may sum to the logit although its parts are a million times larger and cancel, and although it is the same for
every class.
"""

from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.domains import Domain
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic
from auscult.intervals import DIFFERENCE, POSITIVE

SOUNDNESS = Topic("soundness", "is relevance of the logit's size, and is it that of the class?", 9)


class Soundness(Measurement):
    """Measures the size of relevance, and its likeness to that of another class.

    It applies to attributions that share the logit out or follow its slope. Those that only ask for logits (occlusion,
    RISE) would take twice as long.

    Args:
        domain: where relevance is looked at.
        attribution: the method.
    """

    measures = (
        Measure(
            SOUNDNESS,
            "amplification",
            "the sum of the magnitudes of relevance, over that of the logit: 1 if all speaks for the class; thousands"
            " are noise that cancels",
            Better.COMPARE,
            POSITIVE,
            title="Amplification",
        ),
        Measure(
            SOUNDNESS,
            "class_similarity",
            "the cosine between relevance for the target and for the likeliest other class: 1 if both are the same map,"
            " which so says nothing of the class; near -1 with two classes that exclude each other",
            Better.COMPARE,
            DIFFERENCE,
            title="Likeness to the next class",
        ),
    )

    def __init__(self, domain: Domain, attribution: Attribution) -> None:
        self.domain, self.attribution = domain, attribution

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if the attribution only asks for logits, or if there is one class."""
        if run.attribution.asks_logits_only or len(run.model.classes) < 2:
            return None
        return cls(run.domain, run.attribution)

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained = clips.explained
        logit = explained.logits.gather(1, explained.target[:, None])[:, 0]
        size = explained.relevance.flatten(1).abs().sum(1)
        others = explained.logits.scatter(1, explained.target[:, None], -torch.inf)
        next_class = others.argmax(1)
        relevance, _ = self.domain.relevance(self.attribution, clips.waveform, explained.input, next_class)
        likeness = cosine_similarity(explained.relevance.flatten(1), relevance.flatten(1))
        return dict(zip(self.names, (size / logit.abs().clamp(min=1e-12), likeness), strict=True))
