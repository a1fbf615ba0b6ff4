"""What relevance costs: time and memory."""

from typing import Self

import torch
from torch import Tensor

from auscult.explain.attribution.base import Attribution
from auscult.explain.attribution.cost import peak_megabytes
from auscult.explain.domain.domains import Domain
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic

COST = Topic("cost", "how much time and memory does relevance alone need, on this machine?", 8)


class Cost(Measurement):
    """Measures the time of relevance, per clip of a batch, and the memory that one clip alone needs.

    Args:
        domain: where relevance is looked at.
        attribution: the method.
    """

    measures = (
        Measure(
            COST,
            "passes",
            "its time, as a number of forward passes of the same batch",
            Better.LOWER,
            None,
            title="Time in forward passes",
        ),
        Measure(COST, "milliseconds", "the time per clip", Better.LOWER, None, "milliseconds", title="Time per clip"),
        Measure(
            COST,
            "megabytes",
            "the memory that one clip alone needs",
            Better.LOWER,
            None,
            "megabytes",
            title="Memory per clip",
        ),
    )

    def __init__(self, domain: Domain, attribution: Attribution) -> None:
        self.domain, self.attribution = domain, attribution
        self.megabytes: float | None = None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The cost of a run's attribution."""
        return cls(run.domain, run.attribution)

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        waveform, explained = clips.waveform, clips.explained
        if self.megabytes is None:  # it is measured once
            first = (self.attribution, waveform[:1], explained.input[:1], explained.target[:1])
            self.megabytes = peak_megabytes(lambda: self.domain.relevance(*first), waveform.device)
        passing, explaining = explained.seconds
        cost = (explaining / passing, 1000 * explaining / len(waveform), self.megabytes)
        return {name: torch.full((len(waveform),), value) for name, value in zip(self.names, cost, strict=True)}
