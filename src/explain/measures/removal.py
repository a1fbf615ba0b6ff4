"""Removal of what is relevant, as a measurement of a run: see `perturbation`."""

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

DELETION = Topic("deletion", "does the network fail as the most relevant features are removed?", 0)


@dataclass(frozen=True)
class Perturbation:
    """How inputs are perturbed.

    Args:
        fractions: of their features that are removed, see `counts_of`.
        seeds: of the random orders.
        fill: what stands where they were.
        definition: one of `DEFINITIONS`.
    """

    fractions: Sequence[float]
    seeds: Sequence[int]
    fill: Fill
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


class Removal(Measurement):
    """Fills the curves, of which `metrics.json` has the areas (`perturbation.areas`), and leaderboards the deletion.

    Args:
        perturbation: how inputs are perturbed.
        network: that is asked.
    """

    measures = (
        Measure(DELETION, "accuracy", "the mean height of the curve of accuracy", Better.LOWER),
        Measure(DELETION, "probability", "the mean height of the curve of the label's probability", Better.LOWER),
    )
    summary = tuple(
        f"perturbation/area/{name}" for name in ("relevance", "amplitude_minus_relevance", "random_minus_relevance")
    )

    def __init__(self, perturbation: Perturbation, network: nn.Module) -> None:
        self.perturbation, self.network = perturbation, network

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """That of a run whose clips have labels, and of which something is to be removed."""
        if run.config["perturbation"]["fractions"] is None or not (run.source.labels >= 0).all():
            return None
        config, model, asked = run.config, run.domain.model, run.config["perturbation"]
        passes = partial(inputs_of, model, run.source.dataset, config["data"]["batch_size"])
        fill = build_named(config["fill"], "fill", model.silence(run.source.dataset.length), passes)
        seeds = [config["seed"] + number for number in range(asked["random_orders"])]
        made = Perturbation(checked_fractions(asked["fractions"]), seeds, fill, asked["definition"])
        return cls(made, model.network)

    @property
    def names(self) -> list[str]:
        """None: its measures are read off the curves."""
        return []

    @property
    def columns(self) -> dict[str, Row]:
        curves = (len(self.perturbation.orders), len(self.perturbation.fractions))
        return {
            "perturbation/correct": np.dtype((np.uint8, curves)),
            "perturbation/probability": np.dtype((np.float32, curves)),
        }

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        outcome = self.perturbation(self.network, clips.explained, clips.label, clips.clip)
        values = (outcome.correct, outcome.probability)  # (B, O, F) each
        return dict(zip(self.columns, map(torch.from_numpy, values), strict=True))

    @classmethod
    def values_in(cls, file: h5py.File, config: dict[str, Any]) -> dict[str, np.ndarray]:
        """The mean height of each clip's curve, the most relevant features first: 1 where nothing is lost."""
        if "perturbation" not in file:
            return {}
        asked, values = config["perturbation"], {}
        for measure, column in zip(cls.measures, ("correct", "probability"), strict=True):
            curve = file[f"perturbation/{column}"][:, 0].astype(float)  # (N, F)
            values[measure.column] = mean_height(curve, asked["fractions"], asked.get("definition", "paper"))
        return values
