"""How far a number or a tag's probability falls as relevant features are removed, see `perturbation`.

Accuracy says nothing of numbers. What speaks for a higher number is removed first, so the number should fall further
than in the control orders. With labels, the mean error is measured, too, for comparison: what raises a number that was
too low makes it smaller.
"""

from collections.abc import Mapping
from typing import Any, Self

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from auscult.explain.domain.explain import Explained
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Row, Run
from auscult.explain.measures.perturbation import counts_of, mean_height, removals, scores_of
from auscult.explain.measures.removal import DELETION, Perturbation, perturbation_of
from auscult.intervals import POSITIVE, Bounds, SpeakerIntervals
from auscult.modules.model import Model

BOUNDS: dict[str, Bounds] = {"fall": None, "error": POSITIVE}


class Fall(Measurement):
    """Measures the curves of answers that are no classes. It needs no labels.

    Args:
        perturbation: how inputs are perturbed.
        model: the model that is explained.
        is_labelled: whether the true numbers are known.
    """

    measures = (
        Measure(
            DELETION, "fall", "the mean height of the curve of how far the answer falls, a number in its unit or the"
            " probability of a tag", Better.HIGHER, None, title="Fall during removal",
        ),
        Measure(
            DELETION, "error", "the mean height of the curve of the absolute error of the number, in its unit",
            Better.COMPARE, POSITIVE, title="Error during removal",
        ),
    )  # fmt: skip

    def __init__(self, perturbation: Perturbation, model: Model, is_labelled: bool) -> None:
        self.perturbation, self.model = perturbation, model
        self.curves = ["fall", "error"] if is_labelled and model.kind == "number" else ["fall"]

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if the network tells classes apart, or nothing is to be removed."""
        if run.config["perturbation"]["fractions"] is None or run.domain.model.kind == "classes":
            return None
        return cls(perturbation_of(run), run.domain.model, run.source.is_labelled)

    @property
    def names(self) -> list[str]:
        """Empty, as the measures are computed from the curves."""
        return []

    @property
    def columns(self) -> dict[str, Row]:
        """See `Measurement.columns`: a curve of each kind for each clip and order."""
        shape = (len(self.perturbation.orders), len(self.perturbation.fractions))
        return {f"perturbation/{curve}": np.dtype((np.float32, shape)) for curve in self.curves}

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained = clips.explained
        answers = self._answers(explained, clips.clip)  # (B, O, F)
        intact = self._answer(explained.logits, explained.target)[:, None, None]
        values = {"fall": intact - answers, "error": (answers - clips.label[:, None, None]).abs()}
        return {f"perturbation/{curve}": values[curve] for curve in self.curves}

    @torch.inference_mode()
    def _answers(self, explained: Explained, clip: Tensor) -> Tensor:
        removed, input, silence = self.perturbation, explained.input, self.perturbation.fill.silence
        scores = scores_of(input, explained.relevance, silence, clip, removed.seeds, removed.definition)
        counts = counts_of(input, silence, removed.fractions, removed.definition)
        answers = torch.empty(len(input), len(removed.orders), counts.shape[1], device=input.device)
        for rows, columns, outputs in removals(
            self.model.network, input, scores, counts, removed.fill, explained.logits
        ):
            answers[:, rows, columns] = self._answer(outputs, explained.target)[:, None, None]
        return answers

    def _answer(self, outputs: Tensor, target: Tensor) -> Tensor:
        """The number or the tag's probability, (B,)."""
        own = outputs.gather(1, target[:, None])[:, 0]
        return own if self.model.kind == "number" else own.sigmoid()

    @classmethod
    def values_in(cls, file: h5py.File, config: dict[str, Any]) -> dict[str, np.ndarray]:
        """The mean height of each clip's curve of the order `relevance`, (N,)."""
        options, values = config["perturbation"], {}
        for measure in cls.measures:
            if f"perturbation/{measure.name}" in file:
                curve = file[f"perturbation/{measure.name}"][:, 0].astype(float)  # (N, F)
                heights = mean_height(curve, options["fractions"], options.get("definition", "paper"))
                values[measure.column] = heights
        return values


def over_seeds(perturbation: Perturbation, values: np.ndarray) -> dict[str, np.ndarray]:
    """The mean over the seeds of each order: values (N, O, F) become (N, F) by order."""
    names = np.array(perturbation.orders)
    return {name: values[:, names == name].mean(1, dtype=np.float64) for name in dict.fromkeys(perturbation.orders)}


def summarise(
    perturbation: Perturbation, curves: Mapping[str, np.ndarray], intervals: SpeakerIntervals
) -> pd.DataFrame:
    """A row per order and fraction: the mean of each curve with its 95 % interval over speakers.

    Args:
        perturbation: how inputs were perturbed.
        curves: (N, O, F) by name, "fall" and "error".
        intervals: over the speakers of the N clips.
    """
    tables = []
    means = {name: over_seeds(perturbation, values) for name, values in curves.items()}
    for order in dict.fromkeys(perturbation.orders):
        columns: dict[str, Any] = {"order": order, "fraction": np.asarray(perturbation.fractions, float)}
        for name, by_order in means.items():
            low, high = intervals.of_mean(by_order[order], BOUNDS[name])
            columns |= {name: by_order[order].mean(0), f"{name}_low": low, f"{name}_high": high}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def areas(
    perturbation: Perturbation, curves: Mapping[str, np.ndarray], intervals: SpeakerIntervals
) -> dict[str, float]:
    """The mean height of each curve, and that of relevance minus that of each control, with 95 % intervals.

    Above zero, relevance finds what the network uses better than the control. With a single fraction there are none.

    Args: as for `summarise`.
    """
    metrics: dict[str, float] = {}
    if len(perturbation.fractions) < 2:
        return metrics
    for name, values in curves.items():
        heights = {
            order: mean_height(curve, perturbation.fractions, perturbation.definition)
            for order, curve in over_seeds(perturbation, values).items()
        }
        for order, height in heights.items():
            metric = f"perturbation/{name}_area/{order.replace(' ', '_')}"
            metrics |= intervals.described(metric, height, BOUNDS[name])
            if order != "relevance":
                further = heights["relevance"] - height
                metrics |= intervals.described(
                    f"perturbation/{name}_area/relevance_minus_{order.replace(' ', '_')}", further, None
                )
    return metrics
