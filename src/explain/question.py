"""What is asked of every clip: how relevance is found, where it is looked at, and how it is tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from src.build import build_named
from src.checkpoint import classifier_of, open_checkpoint
from src.explain.attribution import Attribution
from src.explain.checks import Checks
from src.explain.control import Control
from src.explain.domain import Domain
from src.explain.energy import Inverse, curve_over_energy
from src.explain.fill import Fill
from src.explain.inputs import inputs_of, silence_of
from src.explain.interventions import Change, Intervention
from src.explain.measures import Measures
from src.explain.options import DEFINITIONS, checked_fractions
from src.explain.perturbation import Outcome, counts_of, perturb, scores_of
from src.explain.source import Source
from src.mistake import Mistake
from src.modules.classifier import Classifier

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

    def __call__(self, network: nn.Module, input: Tensor, label: Tensor, relevance: Tensor, clip: Tensor) -> Outcome:
        """What B clips are taken for, in every order.

        Args:
            network: in evaluation mode.
            input, relevance: (B, ...).
            label, clip: (B,) class and number of each.
        """
        scores = scores_of(input, relevance, self.fill.silence, clip, self.seeds, self.definition)
        counts = counts_of(input, self.fill.silence, self.fractions, self.definition)
        return perturb(network, input, label, scores, counts, self.fill)

    def over_energy(self, network: nn.Module, input: Tensor, label: Tensor, relevance: Tensor) -> dict[str, Tensor]:
        """Curves (B, F) of B clips over their energy, and the areas under them, (B,); see `curve_over_energy`."""
        if not self.energies:
            return {}
        curves = curve_over_energy(network, input, label, relevance, self.energies, self.fill, self.signal_of)
        span = self.energies[-1] - self.energies[0]
        shares = torch.tensor(self.energies, device=input.device)
        found = {name: torch.trapezoid(curve, shares) / span for name, curve in zip(ENERGY, curves, strict=True)}
        return found | dict(zip(("energy/deletion", "energy/insertion"), curves, strict=True))


@dataclass(frozen=True)
class Question:
    """What is asked of every clip.

    Args:
        attribution: gives the relevance.
        domain: what it is of.
        target: class whose logit is explained; "predicted" and "true" differ from clip to clip.
        measures: what is measured of the relevance; None: nothing.
        perturbation: tests the relevance; None where labels are not known.
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


def question_of(config: dict[str, Any], trained: dict[str, Any], classifier: Classifier, source: Source) -> Question:
    """What is asked of every clip.

    Raises:
        Mistake: an unknown target, or one that needs labels which the clips do not have.
    """
    labelled, classes, target = bool((source.labels >= 0).all()), classifier.classes, config["target"]
    check_target(target, classes)
    if not labelled and target == "true":
        raise Mistake("target=true needs labels, which input=… does not have; choose predicted, or a class by name.")
    if not labelled and config.get("intervention"):
        raise Mistake("intervention=… needs labels, which input=… does not have; leave one of them out.")
    asked: dict[str, Any] = {"target": target if target in ("predicted", "true") else classes.index(target)}
    asked["attribution"] = build_named(config["attribution"], "attribution")
    rate = trained["data"]["clip"]["sample_rate"]
    domain: Domain = build_named(config["domain"], "domain", classifier, source.dataset.length, rate)
    asked["domain"] = domain
    asked["measures"] = Measures(domain, source, asked["target"], rate)
    if config["checks"]:
        network, clips = classifier.network, len(source.clips)
        asked["checks"] = Checks(network, domain, asked["attribution"], config["checks"], clips, rate)
    if config["control"]:
        other = classifier_of(open_checkpoint(config["control"], "control", config["allow"]))
        view: Domain = build_named(config["domain"], "domain", other, source.dataset.length, rate)
        asked["control"] = Control(view, classes, asked["attribution"], asked["measures"])
    fractions = checked_fractions(config["perturbation"]["fractions"])
    energies = config["perturbation"]["energies"]
    energies = checked_fractions(energies, "perturbation.energies") if energies else ()
    if labelled:
        silence = silence_of(domain.classifier, source.dataset.length)
        passes = partial(inputs_of, domain.classifier, source.dataset, config["data"]["batch_size"])
        fill = build_named(config["fill"], "fill", silence, passes)
        seeds = [config["seed"] + number for number in range(config["perturbation"]["random_orders"])]
        asked["perturbation"] = Perturbation(
            fractions, seeds, fill, energies, domain.signal_of, config["perturbation"]["definition"]
        )
    if config.get("intervention"):
        asked["intervention"] = build_named(config["intervention"], "intervention", rate)
    question = Question(**asked)
    try_out(question, classifier, source)
    return question


def try_out(question: Question, classifier: Classifier, source: Source) -> None:
    """Asks the question of the first clip: what this network cannot be asked is better known now.

    Raises:
        Mistake: it cannot be asked, or its answer is of no use.
    """
    batch = source.dataset.__getitems__([0])
    with torch.no_grad():
        input = question.domain.classifier.front_end(batch["waveform"])
        logits = question.domain.classifier.network(input)
        if not logits.isfinite().all():
            raise Mistake("the checkpoint's network gives logits that are not finite; choose one with finite weights.")
        if question.intervention is not None:
            changes: list[Change] = [question.intervention, *question.intervention.shams().values()]
            for change in changes:
                change(classifier, batch["waveform"], batch["label"])
    target = targets(question.target, logits, batch["label"])
    relevance, apart = question.domain.relevance(question.attribution, batch["waveform"], input, target)
    if not (relevance.isfinite().all() and apart.isfinite().all()):
        raise Mistake("the relevance is not finite in this domain; leave domain out, or choose another attribution.")


def targets(target: int | str, logits: Tensor, label: Tensor) -> Tensor:
    """The class to explain of each clip, (B,) int64, given logits (B, C) and labels (B,)."""
    if target == "predicted":
        return logits.argmax(1)
    return label if target == "true" else torch.full_like(label, int(target))
