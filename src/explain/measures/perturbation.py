"""The paper's central test: does accuracy fall when the most relevant features are removed?

The first features of an order are replaced by the fill, and the network predicts again. If relevance shows what the
network uses, accuracy falls faster than with the controls (after Becker et al., arXiv 1807.03418). The orders:

    relevance         the most relevant features first
    least relevant    the least relevant features first, which should harm least
    amplitude         the features first that are farthest from silence
    random            drawn at random, with several seeds

The removal of silence changes nothing, and speech fills only part of a clip. So an order that removes silence cannot be
compared with an order that does not. Therefore there are two definitions of a fraction:

    sounding    Silent features come last in every order. A fraction counts only features that are not silent. Areas
                under curves are on a logarithmic scale of the fraction, as small fractions matter most: beyond a
                tenth, little is left of any clip.
    paper       A fraction counts all features. Relevance decides the place of silence: before the features that speak
                against the class. By amplitude and at random, silence comes last. Areas are on a linear scale. (The
                random order of the paper itself also removed silence.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn

from auscult.explain.measures.fill import Fill
from auscult.intervals import DIFFERENCE, SHARE, SpeakerIntervals

Scores = Mapping[str, Tensor | Sequence[Tensor]]  # order -> (B, ...), or one per seed; the highest is removed first


@dataclass(frozen=True)
class Outcome:
    """The predictions for N clips, in each of O orders, at each of F fractions.

    Args:
        orders: (O,) names; an order with several seeds is listed once per seed.
        correct: (N, O, F) bool, whether the label's logit is the highest.
        probability: (N, O, F) float32, probability of the label.
    """

    orders: tuple[str, ...]
    correct: np.ndarray
    probability: np.ndarray

    def over_seeds(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """The mean over the seeds of each order: values (N, O, F) become (N, F) by order."""
        names = np.array(self.orders)
        return {name: values[:, names == name].mean(1, dtype=np.float64) for name in dict.fromkeys(self.orders)}


def scores_of(
    input: Tensor,
    relevance: Tensor,
    silence: Tensor,
    clip: Tensor,
    seeds: Sequence[int] = (0, 1, 2),
    definition: str = "sounding",
) -> dict[str, Tensor | list[Tensor]]:
    """The scores by which relevance and its controls order the features; for silence, see the definitions above.

    Args:
        input: (B, ...).
        relevance: (B, ...), of the input.
        silence: (1, ...), the front end's output for digital silence.
        clip: (B,) number of each clip; number and seed determine the random order.
        seeds: seeds of the random orders.
        definition: one of the two definitions above.
    """
    level = input - silence.to(input)
    by_relevance = {"relevance": relevance, "least relevant": -relevance}
    if definition == "sounding":
        by_relevance = {name: silence_last(scores, level) for name, scores in by_relevance.items()}
    return {
        **by_relevance,
        "amplitude": level.abs(),
        "random": [silence_last(_random_scores(level, clip, seed), level) for seed in seeds],
    }


def silence_last(scores: Tensor, level: Tensor) -> Tensor:
    """Sets scores (B, ...) to the lowest value where the level (B, ...) is 0, the level of silence."""
    return scores.masked_fill(level == 0, -torch.inf)


def _random_scores(level: Tensor, clip: Tensor, seed: int) -> Tensor:
    shape = level.shape[1:]
    draws = [np.random.default_rng((seed, number)).random(shape, np.float32) for number in clip.tolist()]
    return torch.from_numpy(np.stack(draws)).to(level.device)


def counts_of(input: Tensor, silence: Tensor, fractions: Sequence[float], definition: str = "sounding") -> Tensor:
    """How many features of inputs (B, ...) a fraction is, (B, F) int64: of the sounding ones, or of all."""
    features = input[0].numel()
    sounding = (input != silence.to(input)).flatten(1).sum(1) if definition == "sounding" else features
    of_clips = torch.as_tensor(sounding, device=input.device).expand(len(input)).tolist()
    return torch.tensor([[round(fraction * count) for fraction in fractions] for count in of_clips])


@torch.inference_mode()
def perturb(
    network: nn.Module,
    input: Tensor,
    label: Tensor,
    scores: Scores,
    counts: Tensor,
    fill: Fill,
    logits: Tensor | None = None,
) -> Outcome:
    """Removes the first features in each order, and lets the network predict again, see `removals`.

    Args:
        network: in evaluation mode.
        input: (B, ...).
        label: (B,) int64, the class whose probability counts.
        scores: scores of each order. The highest are removed first; of equal scores, the one with the lower index.
        counts: (B, F) number of removed features, ascending, see `counts_of`.
        fill: replaces removed features.
        logits: (B, C), logits of the intact inputs, if they are known.
    """
    names = names_of(scores)
    correct = torch.empty(len(input), len(names), counts.shape[1], dtype=torch.bool, device=input.device)
    probability = torch.empty(correct.shape, dtype=torch.float32, device=input.device)
    for rows, columns, given in removals(network, input, scores, counts, fill, logits):
        correct[:, rows, columns] = (given.argmax(1) == label)[:, None, None]
        probability[:, rows, columns] = given.softmax(1).gather(1, label[:, None])[:, None]
    return Outcome(names, correct.cpu().numpy(), probability.cpu().numpy())


def names_of(scores: Scores) -> tuple[str, ...]:
    """The names of orders; an order with several seeds is listed once per seed."""
    return tuple(name for name, of in scores.items() for _ in ([of] if isinstance(of, Tensor) else of))


def removals(
    network: nn.Module, input: Tensor, scores: Scores, counts: Tensor, fill: Fill, logits: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Removes the first features in each order.

    Args: as for `perturb`.

    Yields:
        The orders and the fractions that an output is of, as slices, and what the network gives, (B, C). Each forward
        pass has B inputs. The intact inputs pass at most once, for all orders together.
    """
    counts = counts.to(input.device)
    intact = int((counts.amax(0) == 0).sum())  # counts ascend
    if intact:
        yield slice(None), slice(0, intact), network(input).float() if logits is None else logits
    filled = fill(input)
    each = [given for of in scores.values() for given in ([of] if isinstance(of, Tensor) else of)]
    for row, given in enumerate(each):
        rank = ranks(given)
        for column in range(intact, counts.shape[1]):
            gone = rank < counts[:, column].view(-1, *[1] * (input.dim() - 1))
            outputs = network(torch.where(gone, filled, input)).float()
            yield slice(row, row + 1), slice(column, column + 1), outputs


def ranks(scores: Tensor) -> Tensor:
    """The place of each feature in the order of its clip, (B, ...) int32, by scores (B, ...): 0 for the highest.

    Of equal features, the one with the lower index is first.
    """
    flat = scores.flatten(1)  # (B, features)
    order = torch.argsort(flat, dim=1, descending=True, stable=True)
    places = torch.arange(flat.shape[1], dtype=torch.int32, device=flat.device).expand_as(flat)
    return torch.empty_like(places).scatter_(1, order, places).view(scores.shape)


def summarise(outcome: Outcome, fractions: Sequence[float], intervals: SpeakerIntervals) -> pd.DataFrame:
    """The curves: a row per order and fraction.

    Columns: order, fraction, accuracy, low, high, probability, probability_low, probability_high, gap, gap_low,
    gap_high. Accuracy is a share. Probability is the mean probability of the label. The gap is the accuracy of the
    order minus that of relevance, clip by clip. All have the ends of their 95 % intervals over speakers.

    Args:
        outcome: the predictions for N clips.
        fractions: the F fractions of the outcome.
        intervals: intervals over the speakers of the N clips.
    """
    accuracy, probability = outcome.over_seeds(outcome.correct), outcome.over_seeds(outcome.probability)
    tables = []
    for order in accuracy:
        low, high = intervals.of_mean(accuracy[order])
        probability_low, probability_high = intervals.of_mean(probability[order])
        columns: dict[str, Any] = {"order": order, "fraction": np.asarray(fractions, float)}
        columns |= {"accuracy": accuracy[order].mean(0), "low": low, "high": high}
        columns["probability"] = probability[order].mean(0)
        columns |= {"probability_low": probability_low, "probability_high": probability_high}
        if "relevance" in accuracy:
            gap = accuracy[order] - accuracy["relevance"]  # (N, F)
            columns["gap"] = gap.mean(0)
            columns["gap_low"], columns["gap_high"] = intervals.of_mean(gap, DIFFERENCE)
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def mean_height(curves: np.ndarray, fractions: Sequence[float], definition: str = "sounding") -> np.ndarray:
    """Mean height (N,) of curves (N, F) over their fractions, which ascend: the area under them over its width.

    The trapezoid rule is applied over the logarithm of the fractions above zero. With `paper` it is applied over the
    fractions, where the wide steps at large fractions weigh most. With a single fraction, the mean is the height there.
    """
    places = np.asarray(fractions, float)
    if definition == "sounding":
        curves, places = curves[:, places > 0], np.log(places[places > 0])
    if len(places) < 2:
        return curves[:, 0].astype(float) if len(places) else np.full(len(curves), np.nan)
    return trapezoid(curves, places, axis=1) / (places[-1] - places[0])


def areas(
    outcome: Outcome, fractions: Sequence[float], intervals: SpeakerIntervals, definition: str = "sounding"
) -> dict[str, float]:
    """The area under each curve, and the area between each control and relevance, as metrics with 95 % intervals.

    The area is the `mean_height` of the curve, in the unit of accuracy or probability. For relevance, lower is better.
    The area between is that of the control minus that of relevance: above zero, relevance is better than the control at
    finding what the network uses. Its interval is that of the difference, clip by clip.

    Names are `perturbation/area/relevance` and `perturbation/area/random_minus_relevance` for accuracy, and
    `perturbation/probability_area/…`, each also with `_low` and `_high`. With a single fraction there are no metrics.

    Args: as for `summarise`.
    """
    metrics: dict[str, float] = {}
    if len(fractions) < 2:
        return metrics
    for kind, values in (("area", outcome.correct), ("probability_area", outcome.probability)):
        heights = {
            order: mean_height(curve, fractions, definition) for order, curve in outcome.over_seeds(values).items()
        }
        for order, height in heights.items():  # (N,), area per clip; the area of the mean is the mean of the areas
            names = {order: height}
            if order != "relevance" and "relevance" in heights:
                names[f"{order}_minus_relevance"] = height - heights["relevance"]
            for name, clip_areas in names.items():
                metric = f"perturbation/{kind}/{name.replace(' ', '_')}"
                metrics |= intervals.described(metric, clip_areas, DIFFERENCE if "_minus_" in name else SHARE)
    return metrics


def write_curves(path: Path, table: pd.DataFrame) -> None:
    """Writes `curves.csv`, the table of `summarise`. If the run is killed meanwhile, an earlier file stays."""
    unfinished = path.with_suffix(".part")
    table.to_csv(unfinished, index=False, float_format="%.6g")
    unfinished.replace(path)
