"""Deletion and insertion over the share of a clip's energy, a scale that all domains have.

A feature is a different thing in each domain, and its share of all features no scale to compare domains by; the share
of the signal's energy is. It is measured on the signal: the coefficients of a short-time transform overlap, and the
energy of those that go is not what the signal loses. Spectrograms in decibels are made into no signal: theirs is the
sum of squared decibels above silence.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from auscult.explain.measures.fill import Fill
from auscult.explain.measures.fractions import checked_fractions
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Row, Run
from auscult.explain.measures.metrics import FAITHFULNESS
from auscult.explain.measures.perturbation import ranks, silence_last
from auscult.explain.measures.removal import Removal

Inverse = Callable[[Tensor], Tensor]
CURVES = ("energy/deletion", "energy/insertion")


def energy_counts(signal_of: Inverse, level: Tensor, rank: Tensor, fractions: Sequence[float]) -> tuple[Tensor, Tensor]:
    """How many features, in an order, make up a share of the signal's energy: two times (B, F) int64.

    The least number whose removal leaves not more than 1 - fraction of the energy: none for 0, and for 1 all but the
    last that are silent. And the least number that by itself has at least the fraction. In domains whose coefficients
    are orthogonal, both are the same.

    Args:
        signal_of: makes the signal (B, ...) of coefficients; linear.
        level: (B, ...) coefficients above silence, real or complex.
        rank: (B, ...) of each in the order, as of `perturbation.ranks`.
        fractions: F, from 0 to 1.
    """

    def energy(kept: Tensor) -> Tensor:
        signal = signal_of(torch.where(kept, level, torch.zeros_like(level)))
        return signal.abs().double().square().flatten(1).sum(1)  # (B,)

    total = energy(torch.ones_like(rank, dtype=torch.bool))
    column = (-1, *[1] * (level.dim() - 1))

    def loses(share: float, count: Tensor) -> Tensor:
        return energy(rank >= count.view(column)) <= total * (1 - share)

    def has(share: float, count: Tensor) -> Tensor:
        return energy(rank < count.view(column)) >= total * share

    removed, kept = ([least(rank, partial(ask, share)) for share in fractions] for ask in (loses, has))
    return torch.stack(removed, 1), torch.stack(kept, 1)


def least(rank: Tensor, is_enough: Callable[[Tensor], Tensor]) -> Tensor:
    """The least number of features (B,) that is enough, by bisection; all of them are."""
    low = torch.zeros(len(rank), dtype=torch.int64, device=rank.device)
    high = torch.full_like(low, rank[0].numel())
    while (low < high).any():
        middle = (low + high) // 2
        enough = is_enough(middle)
        low, high = torch.where(enough, low, middle + 1).minimum(high), torch.where(enough, middle, high)
    return high


@torch.inference_mode()
def curve_over_energy(
    network: nn.Module,
    input: Tensor,
    label: Tensor,
    relevance: Tensor,
    fractions: Sequence[float],
    fill: Fill,
    signal_of: Inverse = lambda level: level,
    logits: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Probability of the label where the most relevant features are removed, and where nothing else is left.

    Deletion and insertion (Petsiuk et al., arXiv 1806.07421) until the features with a share of the energy, see
    `energy_counts`, have been. Silent features go last.

    Args:
        network: in evaluation mode.
        input, relevance: (B, ...).
        label: (B,) int64.
        fractions: F shares of the energy, from 0 to 1.
        fill: what stands in the place of what is removed.
        signal_of: makes the signal of the input's coefficients, whose energy it is.
        logits: (B, C) of the intact inputs, where they are known.

    Returns:
        Of deletion, where lower is better, and of insertion, where higher is: (B, F) each.
    """
    level = input - fill.silence.to(input)
    rank, filled = ranks(silence_last(relevance, level)), fill(input)
    counts = energy_counts(signal_of, level, rank, fractions)
    intact = network(input).float() if logits is None else logits  # (B, C)
    nothing = network(filled).float()

    def probability(kept: Tensor) -> Tensor:
        """Of the label, (B,), where the features (B, ...) are kept."""
        if kept.all() or not kept.any():
            outputs = intact if kept.all() else nothing
        else:
            outputs = network(torch.where(kept, input, filled)).float()
        return outputs.softmax(1).gather(1, label[:, None])[:, 0]

    gone, left = (numbers.view(len(input), -1, *[1] * (input.dim() - 1)) for numbers in counts)  # (B, F, 1, ...)
    deletion = [probability(rank >= number) for number in gone.unbind(1)]
    insertion = [probability(rank < number) for number in left.unbind(1)]
    return torch.stack(deletion, 1), torch.stack(insertion, 1)


class Energy(Measurement):
    """Fills the curves of `curve_over_energy`, and takes the areas under them.

    Args:
        network: that is asked.
        fractions: F shares of the energy that are removed, and kept.
        fill: what stands in the place of what is removed.
        signal_of: makes the signal of the inputs, whose energy it is.
    """

    measures = (
        Measure(FAITHFULNESS, "energy_deletion", "the mean probability of the label as the signal's energy is removed,"
                " the most relevant features first", Better.LOWER, shares_scale=True),
        Measure(FAITHFULNESS, "energy_insertion", "the mean probability of the label as the signal's energy is put"
                " back, the most relevant features first", Better.HIGHER, shares_scale=True),
    )  # fmt: skip

    def __init__(self, network: nn.Module, fractions: Sequence[float], fill: Fill, signal_of: Inverse) -> None:
        self.network, self.fractions, self.fill, self.signal_of = network, fractions, fill, signal_of

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """That of a run whose clips have labels, and which asks for it."""
        removal, fractions = run.measurement(Removal), run.config["perturbation"]["energies"]
        if removal is None or not fractions:
            return None
        checked = checked_fractions(fractions, "perturbation.energies")
        return cls(run.domain.model.network, checked, removal.perturbation.fill, run.domain.signal_of)

    @property
    def columns(self) -> dict[str, Row]:
        return super().columns | dict.fromkeys(CURVES, np.dtype((np.float32, (len(self.fractions),))))

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained, label = clips.explained, clips.label
        curves = curve_over_energy(
            self.network, explained.input, label, explained.relevance, self.fractions, self.fill, self.signal_of,
            explained.logits,
        )  # fmt: skip
        shares, span = torch.tensor(self.fractions, device=label.device), self.fractions[-1] - self.fractions[0]
        areas = [torch.trapezoid(curve, shares) / span for curve in curves]  # (B,) each
        return dict(zip((*self.names, *CURVES), (*areas, *curves), strict=True))
