"""What is asked of every clip: how relevance is found, where it is looked at, and how it is tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.checkpoint.checkpoint import model_of, open_checkpoint
from auscult.explain.attribution.base import Attribution, attribution_of
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import Explained, explain
from auscult.explain.domain.inputs import inputs_of
from auscult.explain.intervention.interventions import Change, Intervention
from auscult.explain.measures.catalogue import Measures
from auscult.explain.measures.control import Control
from auscult.explain.measures.energy import Inverse, curve_over_energy
from auscult.explain.measures.fill import Fill
from auscult.explain.measures.perturbation import Outcome, counts_of, perturb, scores_of
from auscult.explain.measures.stability import Checks
from auscult.explain.options import DEFINITIONS, checked_fractions
from auscult.explain.source import Source
from auscult.mistake import Mistake
from auscult.modules.model import Model

ENERGY = ("faithfulness/energy_deletion", "faithfulness/energy_insertion")  # areas under the curves


@dataclass(frozen=True)
class Perturbation:
    """How inputs are perturbed.

    Args:
        fractions: of their features that are removed, see `counts_of`.
        seeds: of the random orders.
        fill: what stands where they were.
        energies: shares of the signal's energy that are removed, and kept; none: no such curves.
        signal_of: makes the signal of the inputs, whose energy it is.
        definition: one of `DEFINITIONS`.
    """

    fractions: Sequence[float]
    seeds: Sequence[int]
    fill: Fill
    energies: Sequence[float] = ()
    signal_of: Inverse = lambda level: level
    definition: str = DEFINITIONS[0]

    @property
    def orders(self) -> tuple[str, ...]:
        return ("relevance", "least relevant", "amplitude", *("random" for _ in self.seeds))

    def of(self, features: str) -> str:
        """What its fractions are of, in words: "sounding samples"."""
        return f"sounding {features}" if self.definition == "sounding" else features

    @property
    def scale(self) -> str:
        """On which scale areas are, in words."""
        return f"on a {'logarithmic' if self.definition == 'sounding' else 'linear'} scale"

    def __call__(self, network: nn.Module, explained: Explained, label: Tensor, clip: Tensor) -> Outcome:
        """What B clips are taken for, in every order.

        Args:
            network: in evaluation mode.
            explained: the clips.
            label, clip: (B,) class and number of each.
        """
        input, silence = explained.input, self.fill.silence
        scores = scores_of(input, explained.relevance, silence, clip, self.seeds, self.definition)
        counts = counts_of(input, silence, self.fractions, self.definition)
        return perturb(network, input, label, scores, counts, self.fill, explained.logits)

    def over_energy(self, network: nn.Module, explained: Explained, label: Tensor) -> dict[str, Tensor]:
        """Curves (B, F) of B clips over their energy, and the areas under them, (B,); see `curve_over_energy`."""
        if not self.energies:
            return {}
        curves = curve_over_energy(
            network, explained.input, label, explained.relevance, self.energies, self.fill, self.signal_of,
            explained.logits,
        )  # fmt: skip
        span = self.energies[-1] - self.energies[0]
        shares = torch.tensor(self.energies, device=label.device)
        areas = {name: torch.trapezoid(curve, shares) / span for name, curve in zip(ENERGY, curves, strict=True)}
        return areas | dict(zip(("energy/deletion", "energy/insertion"), curves, strict=True))


@dataclass(frozen=True)
class Question:
    """What is asked of every clip.

    Args:
        attribution: gives the relevance.
        domain: what it is of.
        target: class whose logit is explained; "predicted" and "true" differ from clip to clip.
        measures: what is measured of the relevance; None: nothing.
        perturbation: tests the relevance; None where labels are not known, or nothing is to be removed.
        intervention: changes the clips; None: none does.
        checks: ask the attribution of changed clips and networks; None: nothing is changed.
        control: another network that is asked the same; None: there is none.
    """

    attribution: Attribution
    domain: Domain
    target: int | str
    measures: Measures | None = None
    perturbation: Perturbation | None = None
    intervention: Intervention | None = None
    checks: Checks | None = None
    control: Control | None = None

    @property
    def measured(self) -> list[str]:
        """Names of what is a value per clip."""
        found = list(self.measures.names) if self.measures is not None else []
        if self.perturbation is not None and self.perturbation.energies:
            found += ENERGY
        for asked in (self.checks, self.control):
            found += asked.names if asked is not None else []
        return found


def check_target(target: str, classes: list[str]) -> None:
    """Raises a Mistake if the target is unknown."""
    if target not in ("predicted", "true", *classes):
        close = next((name for name in classes if name.casefold() == target.casefold()), None)
        choose = f"say target={close}" if close else f"choose predicted, true, or one of {', '.join(classes)}"
        raise Mistake(f"target={target} is unknown; {choose}.")


def question_of(config: dict[str, Any], model: Model, source: Source) -> Question:
    """What is asked of every clip.

    Args:
        config: of an explanation.
        model: the trained one.
        source: the clips.

    Raises:
        Mistake: an unknown target, or one that needs labels which the clips do not have.
    """
    labelled, classes, target = bool((source.labels >= 0).all()), model.classes, config["target"]
    check_target(target, classes)
    if not labelled and target == "true":
        raise Mistake("target=true needs labels, which input=… does not have; choose predicted, or a class by name.")
    if not labelled and config.get("intervention"):
        raise Mistake("intervention=… needs labels, which input=… does not have; leave one of them out.")
    parts: dict[str, Any] = {"target": target if target in ("predicted", "true") else classes.index(target)}
    parts["attribution"] = attribution_of(config["attribution"])
    domain: Domain = build_named(config["domain"], "domain", model, source.dataset.length)
    parts["domain"] = domain
    parts["measures"] = Measures(domain, source, parts["target"])
    if config["checks"]:
        parts["checks"] = Checks(model, domain, parts["attribution"], config["checks"], len(source.clips))
    if config["control"]:
        opened = open_checkpoint(config["control"], "control", config["allow"])
        other: Domain = build_named(config["domain"], "domain", model_of(opened), source.dataset.length)
        parts["control"] = Control(other, classes, parts["attribution"], parts["measures"])
    if labelled and config["perturbation"]["fractions"] is not None:
        parts["perturbation"] = perturbation_of(config, domain, source)
    if config.get("intervention"):
        parts["intervention"] = build_named(config["intervention"], "intervention", model.sample_rate)
    question = Question(**parts)
    try_out(question, model, source)
    return question


def perturbation_of(config: dict[str, Any], domain: Domain, source: Source) -> Perturbation:
    """How inputs are perturbed, by an explanation's configuration."""
    asked, energies = config["perturbation"], config["perturbation"]["energies"]
    passes = partial(inputs_of, domain.model, source.dataset, config["data"]["batch_size"])
    fill = build_named(config["fill"], "fill", domain.model.silence(source.dataset.length), passes)
    return Perturbation(
        checked_fractions(asked["fractions"]),
        [config["seed"] + number for number in range(asked["random_orders"])],
        fill,
        checked_fractions(energies, "perturbation.energies") if energies else (),
        domain.signal_of,
        asked["definition"],
    )


def try_out(question: Question, model: Model, source: Source) -> None:
    """Asks the question of the first clip, so that what this network cannot be asked is known at once.

    Raises:
        Mistake: it cannot be asked, or its answer is of no use.
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
