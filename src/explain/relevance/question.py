"""How clips are explained: attribution, domain, target, measurements and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from auscult.build import build_named
from auscult.datamodules.source import Source
from auscult.explain.attribution.base import Attribution, attribution_of
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.intervention.interventions import Change, Intervention
from auscult.explain.measures import catalogue
from auscult.explain.measures.measure import Measurement, Run
from auscult.explain.measures.removal import Perturbation, Removal
from auscult.explain.relevance.target import OF_CLIPS, check_labelled, check_target
from auscult.mistake import Mistake
from auscult.modules.model import Model


@dataclass(frozen=True)
class Question:
    """How each clip is explained and measured.

    Args:
        attribution: gives the relevance.
        domain: where relevance is looked at.
        target: class whose logit is explained; "predicted" and "true" differ from clip to clip.
        measurements: measure the relevance.
        perturbation: tests the relevance; None if labels are not known or no features are removed.
        intervention: changes the clips; None if there is no intervention.
    """

    attribution: Attribution
    domain: Domain
    target: int | str
    measurements: Sequence[Measurement] = ()
    perturbation: Perturbation | None = None
    intervention: Intervention | None = None

    @property
    def measured(self) -> list[str]:
        """Names of the measures, which have a value per clip."""
        return [name for measurement in self.measurements for name in measurement.names]


def question_of(config: dict[str, Any], model: Model, source: Source) -> Question:
    """Makes the question from the configuration of an explanation, and tries it on one clip.

    Args:
        config: the configuration.
        model: the trained model.
        source: the clips.

    Raises:
        Mistake: the target is unknown or needs labels that the clips do not have; or see `try_out`.
    """
    labelled, classes, target = bool((source.labels >= 0).all()), model.classes, config["target"]
    check_target(target, classes)
    if not labelled:
        check_labelled(target, config.get("intervention"))
    parts: dict[str, Any] = {"target": target if target in OF_CLIPS else classes.index(target)}
    parts["attribution"] = attribution_of(config["attribution"])
    domain: Domain = build_named(config["domain"], "domain", model, source.dataset.length)
    parts["domain"] = domain
    run = Run(model, domain, parts["attribution"], source, parts["target"], config)
    taken = [run.measurement(kind) for kind in catalogue.MEASUREMENTS]
    parts["measurements"] = [measurement for measurement in taken if measurement is not None]
    if (removal := run.measurement(Removal)) is not None:
        parts["perturbation"] = removal.perturbation
    if config.get("intervention"):
        parts["intervention"] = build_named(config["intervention"], "intervention", model.sample_rate)
    question = Question(**parts)
    try_out(question, model, source)
    return question


def try_out(question: Question, model: Model, source: Source) -> None:
    """Explains the first clip, so that mistakes come before the long run.

    Raises:
        Mistake: the attribution, domain or intervention does not suit the network, or a result is not finite.
    """
    batch = source.dataset.__getitems__([0])
    with torch.no_grad():
        logits = question.domain.model(batch["waveform"])
        if not logits.isfinite().all():
            raise Mistake("the checkpoint's network gives logits that are not finite; choose one with finite weights.")
        if question.intervention is not None:
            changes: list[Change] = [question.intervention, *question.intervention.shams().values()]
            for change in changes:
                change(model, batch["waveform"], batch["label"])
    explained = explain(question.domain, question.attribution, batch["waveform"], question.target, batch["label"])
    if not (explained.relevance.isfinite().all() and explained.apart.isfinite().all()):
        raise Mistake("the relevance is not finite in this domain; leave domain out, or choose another attribution.")
