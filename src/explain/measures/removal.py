"""The removal of relevant features as a measurement of a run, see `perturbation`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.domain.explain import Explained
from auscult.explain.domain.inputs import inputs_of
from auscult.explain.measures.fill import Fill
from auscult.explain.measures.fractions import DEFINITIONS, checked_fractions
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Row, Run, Topic
from auscult.explain.measures.perturbation import Outcome, counts_of, mean_height, perturb, scores_of

log = logging.getLogger(__name__)

DELETION = Topic("deletion", "does the network fail as the most relevant features are removed?", 0)


@dataclass(frozen=True)
class Perturbation:
    """How inputs are perturbed.

    Args:
        fractions: fractions of features that are removed, see `counts_of`.
        seeds: seeds of the random orders.
        fill: replaces removed features.
        definition: one of `DEFINITIONS`.
    """

    fractions: Sequence[float]
    seeds: Sequence[int]
    fill: Fill
    definition: str = DEFINITIONS[0]

    @property
    def orders(self) -> tuple[str, ...]:
        """Names of the orders; the random order is listed once per seed."""
        return ("relevance", "least relevant", "amplitude", *("random" for _ in self.seeds))

    def counted(self, features: str) -> str:
        """The features that a fraction counts, in words: "sounding samples"."""
        return f"sounding {features}" if self.definition == "sounding" else features

    @property
    def scale(self) -> str:
        """The scale of the areas, in words."""
        return f"on a {'logarithmic' if self.definition == 'sounding' else 'linear'} scale"

    def __call__(self, network: nn.Module, explained: Explained, label: Tensor, clip: Tensor) -> Outcome:
        """Predictions for B clips, in every order.

        Args:
            network: in evaluation mode.
            explained: the explanation of the clips.
            label, clip: (B,) class and number of each.
        """
        input, silence = explained.input, self.fill.silence
        scores = scores_of(input, explained.relevance, silence, clip, self.seeds, self.definition)
        counts = counts_of(input, silence, self.fractions, self.definition)
        return perturb(network, input, label, scores, counts, self.fill, explained.logits)


def perturbation_of(run: Run) -> Perturbation:
    """How the options of a run have inputs perturbed.

    Raises:
        Mistake: its fractions or its fill are impossible.
    """
    config, model, options = run.config, run.domain.model, run.config["perturbation"]
    passes = partial(inputs_of, model, run.source.dataset, config["data"]["batch_size"])
    fill = build_named(config["fill"], "fill", model.silence(run.source.dataset.length), passes)
    seeds = [config["seed"] + number for number in range(options["random_orders"])]
    return Perturbation(checked_fractions(options["fractions"]), seeds, fill, options["definition"])


class Removal(Measurement):
    """Measures the curves. `metrics.json` has their areas (`perturbation.areas`), leaderboards have the deletion.

    Args:
        perturbation: how inputs are perturbed.
        network: the network that is explained.
        target: the one class that is explained; None if it differs from clip to clip. Of other clips, relevance says
            what speaks for a class that they are not: their removal tells nothing of its order, and they have no curve
            (NaN).
    """

    measures = (
        Measure(
            DELETION,
            "accuracy",
            "the mean height of the curve of accuracy",
            Better.LOWER,
            title="Accuracy during removal",
        ),
        Measure(
            DELETION,
            "probability",
            "the mean height of the curve of the label's probability",
            Better.LOWER,
            title="Probability during removal",
        ),
    )
    summary = tuple(
        f"perturbation/area/{name}" for name in ("relevance", "amplitude_minus_relevance", "random_minus_relevance")
    )

    def __init__(self, perturbation: Perturbation, network: nn.Module, target: int | None = None) -> None:
        self.perturbation, self.network, self.target = perturbation, network, target

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if its clips have no labels, are no classes, or nothing is to be removed."""
        is_classes = run.domain.model.kind == "classes"
        if run.config["perturbation"]["fractions"] is None or not (is_classes and run.source.is_labelled):
            return None
        target = run.target if isinstance(run.target, int) else None
        if target is not None and not (run.source.labels == target).any():
            log.warning("None of the clips is of what is explained: its removal is not measured.")
            return None
        return cls(perturbation_of(run), run.domain.model.network, target)

    def is_tested(self, label: Tensor) -> Tensor:
        """Whether clips of these classes (B,) have curves, (B,)."""
        return torch.ones_like(label, dtype=torch.bool) if self.target is None else label == self.target

    @property
    def names(self) -> list[str]:
        """Empty, as the measures are computed from the curves."""
        return []

    @property
    def columns(self) -> dict[str, Row]:
        """See `Measurement.columns`: two curves for each clip and order."""
        curves = (len(self.perturbation.orders), len(self.perturbation.fractions))
        return {
            "perturbation/correct": np.dtype((np.uint8, curves)),
            "perturbation/probability": np.dtype((np.float32, curves)),
        }

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        outcome = self.perturbation(self.network, clips.explained, clips.label, clips.clip)
        outcome.probability[~self.is_tested(clips.label).cpu().numpy()] = np.nan
        values = (outcome.correct, outcome.probability)  # (B, O, F) each
        return dict(zip(self.columns, map(torch.from_numpy, values), strict=True))

    @classmethod
    def values_in(cls, file: h5py.File, config: dict[str, Any]) -> dict[str, np.ndarray]:
        """The mean height of each clip's curve of the order `relevance`, (N,): 1 if nothing is lost."""
        if "perturbation/correct" not in file:
            return {}
        options, values = config["perturbation"], {}
        for measure, column in zip(cls.measures, ("correct", "probability"), strict=True):
            curve = file[f"perturbation/{column}"][:, 0].astype(float)  # (N, F)
            curve[np.isnan(file["perturbation/probability"][:, 0])] = np.nan
            values[measure.column] = mean_height(curve, options["fractions"], options.get("definition", "paper"))
        return values
