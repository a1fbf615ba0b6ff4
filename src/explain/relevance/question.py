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
from auscult.explain.measures.fall import Fall
from auscult.explain.measures.measure import Measurement, Run
from auscult.explain.measures.removal import Perturbation, Removal
from auscult.explain.relevance.aim import Aim
from auscult.explain.relevance.target import check_labelled
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
        perturbation: tests the relevance; None if classes are not known or no features are removed.
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


def question_of(config: dict[str, Any], aim: Aim, source: Source) -> Question:
    """Makes the question from the configuration of an explanation, and tries it on one clip.

    Args:
        config: the configuration.
        aim: what is explained of the trained model.
        source: the clips, with labels that go with the aim.

    Raises:
        Mistake: the target needs labels that the clips do not have, or the attribution or the intervention needs
            classes; or see `try_out`.
    """
    model = aim.model
    if not source.is_labelled:
        check_labelled(aim.target, config.get("intervention"))
    parts: dict[str, Any] = {"target": aim.target, "attribution": attribution_of(config["attribution"])}
    check_kind(model, parts["attribution"], config)
    domain: Domain = build_named(config["domain"], "domain", model, source.dataset.length)
    parts["domain"] = domain
    run = Run(model, domain, parts["attribution"], source, parts["target"], config)
    taken = [run.measurement(kind) for kind in catalogue.MEASUREMENTS]
    parts["measurements"] = [measurement for measurement in taken if measurement is not None]
    if (removal := run.measurement(Removal) or run.measurement(Fall)) is not None:
        parts["perturbation"] = removal.perturbation
    if config.get("intervention"):
        parts["intervention"] = build_named(config["intervention"], "intervention", model.sample_rate)
    question = Question(**parts)
    try_out(question, model, source)
    return question


def check_kind(model: Model, attribution: Attribution, config: dict[str, Any]) -> None:
    """Raises a Mistake if what is asked needs classes that exclude each other, and the model has none."""
    if model.kind == "classes":
        return
    way = "name one by target=…" if model.kind == "tags" else "choose another"
    if attribution.compares_classes:
        raise Mistake(
            f"attribution={config['attribution']['name']} asks for the probability of a class among all, and the"
            f" network gives {model.kind if model.kind == 'tags' else 'a number'}; {way}."
        )
    if config.get("intervention"):
        raise Mistake(
            "intervention=… is measured by the accuracy of classes, and the network gives"
            f" {'tags; ' + way if model.kind == 'tags' else 'a number; leave it out'}."
        )


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
