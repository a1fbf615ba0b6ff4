"""Another network that explains the same clips: one trained on shuffled labels, or without a planted confound."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from torch import Tensor

from auscult.build import build_named
from auscult.checkpoint.checkpoint import model_of, open_checkpoint
from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.measures.localisation import Localisation
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic
from auscult.explain.measures.metrics import similarity
from auscult.intervals import DIFFERENCE
from auscult.mistake import Mistake

CONTROL = Topic("control", "how similar is relevance to that of another network?", 4)


class Control(Measurement):
    """Compares the relevance of a control network with that of the explained network, clip by clip.

    If a network that learnt nothing about the task has similar relevance, this relevance does not explain the task
    (data randomisation, Adebayo et al., arXiv 1810.03292). Relevance in a planted confound is evidence only if a
    network that was trained without the confound has less relevance there.

    Args:
        domain: where the control's relevance is looked at.
        own: where the explained network's relevance is looked at.
        attribution: the method.
        samples: length of a clip.
        localisation: localisation of the run; None if no place is known.

    Raises:
        Mistake: the control has other classes, or inputs of another shape.
    """

    measures = (
        Measure(CONTROL, "similarity", "the rank correlation of the two", Better.COMPARE, DIFFERENCE,
                title="Similarity to another network's"),
        *(
            replace(measure, topic=CONTROL, says="the same as in localisation, for the relevance of the other network",
                    better=Better.COMPARE, title=f"{measure.title}, by another network")
            for measure in Localisation.measures
        ),
    )  # fmt: skip

    def __init__(
        self, domain: Domain, own: Domain, attribution: Attribution, samples: int, localisation: Localisation | None
    ) -> None:
        check_classes(domain.model.classes, own.model.classes)
        expected, other = (each.model.silence(samples).shape for each in (own, domain))
        if expected != other:
            raise Mistake(
                f"control=… has inputs of the shape {tuple(other[1:])} but the checkpoint of {tuple(expected[1:])};"
                " choose a control with the same network and clips."
            )
        self.domain, self.attribution, self.localisation = domain, attribution, localisation
        self.models = [domain.model]

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The control of a run; None if the run has no control.

        Raises:
            Mistake: the control cannot be opened, or it does not fit the checkpoint.
        """
        config, samples = run.config, run.source.dataset.length
        if not config["control"]:
            return None
        model = model_of(open_checkpoint(config["control"], "control", config["allow"]))
        domain: Domain = build_named(config["domain"], "domain", model, samples)
        return cls(domain, run.domain, run.attribution, samples, run.measurement(Localisation))

    @property
    def names(self) -> list[str]:
        """See `Measurement.names`."""
        located = self.localisation.names if self.localisation is not None else []
        return ["control/similarity", *map(_name, located)]

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained = clips.explained
        other = explain(self.domain, self.attribution, clips.waveform, explained.target).relevance
        values = {"control/similarity": similarity(explained.relevance, other)}
        if self.localisation is not None:
            values |= {_name(name): value for name, value in self.localisation.locate(other, clips.rows).items()}
        return values


def _name(column: str) -> str:
    return column.replace("localisation/", "control/")


def check_classes(own: Sequence[str], classes: Sequence[str], path: str = "…") -> None:
    """Raises a Mistake if the control at a path has other classes than the checkpoint."""
    if list(own) != list(classes):
        raise Mistake(
            f"control={path} has the classes {', '.join(own)}, but the checkpoint {', '.join(classes)};"
            " choose a control with the same classes."
        )
