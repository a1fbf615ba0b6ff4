"""Another network that explains the same clips: one trained on shuffled labels, or without a planted confound."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.measures.catalogue import Measures
from auscult.explain.measures.metrics import similarity
from auscult.mistake import Mistake


class Control:
    """What its relevance has in common with the explained network's, and how much of it lies in the same places.

    Relevance that resembles that of a network which learnt nothing of the task is not of the task (data randomisation,
    Adebayo et al., arXiv 1810.03292). Relevance in a planted confound means something where a network that never
    met the confound has less there.

    Args:
        domain: where the control's relevance is looked at.
        classes: of the explained network.
        attribution: the method.
        measures: of the run.

    Raises:
        Mistake: it tells other classes apart, or its inputs are of another kind.
    """

    def __init__(self, domain: Domain, classes: Sequence[str], attribution: Attribution, measures: Measures) -> None:
        check_classes(domain.model.classes, classes)
        samples = measures.source.dataset.length
        own, other = (each.model.silence(samples).shape for each in (measures.domain, domain))
        if own != other:
            raise Mistake(
                f"control=… has inputs of the shape {tuple(other[1:])} and the checkpoint of {tuple(own[1:])}; choose a"
                " control with the same network and clips."
            )
        self.domain, self.attribution, self.measures = domain, attribution, measures
        self.names = ["control/similarity", *(self._name(name) for name in measures.localisation)]

    def __call__(self, waveform: Tensor, relevance: Tensor, target: Tensor, rows: np.ndarray) -> dict[str, Tensor]:
        """Values (B,) of each name.

        Args:
            waveform: (B, 1, T).
            relevance: (B, ...) by the explained network.
            target: (B,) class explained.
            rows: (B,) of the source's clips.
        """
        other = explain(self.domain, self.attribution, waveform, target).relevance
        found = {"control/similarity": similarity(relevance, other)}
        return found | {self._name(name): value for name, value in self.measures.localise(other, rows).items()}

    @staticmethod
    def _name(measure: str) -> str:
        return measure.replace("localisation/", "control/")


def check_classes(own: Sequence[str], classes: Sequence[str], path: str = "…") -> None:
    """Raises a Mistake if the control at a path tells other classes apart than the checkpoint."""
    if list(own) != list(classes):
        raise Mistake(
            f"control={path} tells {', '.join(own)} apart and the checkpoint {', '.join(classes)};"
            " choose a control with the same classes."
        )
