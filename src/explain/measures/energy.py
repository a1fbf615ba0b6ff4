"""Deletion and insertion over the share of a clip's energy, a scale that all domains share.

Features differ from domain to domain, so a share of the features cannot be compared across domains. A share of the
signal's energy can. It is measured on the signal: the coefficients of a short-time transform overlap, so the energy
of removed coefficients is not the loss of the signal. A spectrogram in decibels has no signal: its energy is the sum of
squared decibels above silence.
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
    """How many features, in the given order, hold a share of the signal's energy: two times (B, F) int64.

    The first result is the smallest number whose removal leaves at most 1 - fraction of the energy: 0 for the fraction
    0, and all sounding features for 1. The second result is the smallest number that alone has at least the fraction.
    If the coefficients of a domain are orthogonal, both are equal.

    Args:
        signal_of: turns coefficients into the signal (B, ...); linear.
        level: (B, ...) coefficients above silence, real or complex.
        rank: (B, ...) place of each feature in the order, from `perturbation.ranks`.
        fractions: F fractions, from 0 to 1.
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
    """The smallest number of features (B,) that is enough, by bisection. All features together are enough."""
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
    """Probability of the label when the most relevant features are removed, and when only they are left.

    Deletion and insertion (Petsiuk et al., arXiv 1806.07421) of the features with a share of the energy, see
    `energy_counts`. Silent features come last.

    Args:
        network: in evaluation mode.
        input, relevance: (B, ...).
        label: (B,) int64.
        fractions: F shares of the energy, from 0 to 1.
        fill: replaces removed features.
        signal_of: turns coefficients into the signal whose energy counts.
        logits: (B, C), logits of the intact inputs, if they are known.

    Returns:
        Deletion, where lower is better, and insertion, where higher is better: (B, F) each.
    """
    level = input - fill.silence.to(input)
    rank, filled = ranks(silence_last(relevance, level)), fill(input)
    counts = energy_counts(signal_of, level, rank, fractions)
    intact = network(input).float() if logits is None else logits  # (B, C)
    nothing = network(filled).float()

    def probability(kept: Tensor) -> Tensor:
        """Probability of the label, (B,), if the features (B, ...) are kept."""
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
    """Measures the curves of `curve_over_energy` and the areas under them.

    Args:
        removal: the removal of features of the same network; it says which clips are tested.
        fractions: F shares of the energy that are removed, and kept.
        signal_of: turns inputs into the signal whose energy counts.
    """

    measures = (
        Measure(FAITHFULNESS, "energy_deletion", "the mean probability of the label as the signal's energy is removed,"
                " the most relevant features first", Better.LOWER, shares_scale=True,
                title="Probability as energy goes"),
        Measure(FAITHFULNESS, "energy_insertion", "the mean probability of the label as the signal's energy is put"
                " back, the most relevant features first", Better.HIGHER, shares_scale=True,
                title="Probability as energy returns"),
    )  # fmt: skip

    def __init__(self, removal: Removal, fractions: Sequence[float], signal_of: Inverse) -> None:
        self.removal, self.fractions, self.signal_of = removal, fractions, signal_of

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if its clips have no labels or `perturbation.energies` is empty."""
        removal, fractions = run.measurement(Removal), run.config["perturbation"]["energies"]
        if removal is None or not fractions:
            return None
        checked = checked_fractions(fractions, "perturbation.energies")
        return cls(removal, checked, run.domain.signal_of)

    @property
    def columns(self) -> dict[str, Row]:
        """See `Measurement.columns`."""
        return super().columns | dict.fromkeys(CURVES, np.dtype((np.float32, (len(self.fractions),))))

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained, label = clips.explained, clips.label
        curves = curve_over_energy(
            self.removal.network, explained.input, label, explained.relevance, self.fractions,
            self.removal.perturbation.fill, self.signal_of, explained.logits,
        )  # fmt: skip
        untested = ~self.removal.is_tested(label)[:, None]
        deletion, insertion = (curve.masked_fill(untested, torch.nan) for curve in curves)
        shares, span = torch.tensor(self.fractions, device=label.device), self.fractions[-1] - self.fractions[0]
        areas = [torch.trapezoid(curve, shares) / span for curve in (deletion, insertion)]  # (B,) each
        return dict(zip((*self.names, *CURVES), (*areas, deletion, insertion), strict=True))
