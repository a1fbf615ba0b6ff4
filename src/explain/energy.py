"""Deletion and insertion over the share of a clip's energy, a scale that all domains have.

A feature is a different thing in each domain, and its share of all features no scale to compare domains by; the share
of the signal's energy is. Spectrograms in decibels do not have that: theirs is the sum of squared decibels above
silence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from src.explain.fill import Fill
from src.explain.perturbation import ranks


def energy_removed(input: Tensor, silence: Tensor, rank: Tensor, fractions: Sequence[float]) -> Tensor:
    """How many features, in an order, make up a share of the input's energy, (B, F) int64.

    The least number, so that the energy sum |input - silence|^2 of those that are left is not more than 1 - fraction of
    all: none for 0, and for 1 all but the last that are silent.

    Args:
        input: (B, ...), real or complex.
        silence: (1, ...).
        rank: (B, ...) of each feature in the order, as of `perturbation.ranks`.
        fractions: F, from 0 to 1.
    """
    energy = (input - silence.to(input)).abs().square().flatten(1)  # (B, n)
    ordered = torch.empty_like(energy).scatter_(1, rank.flatten(1).long(), energy)
    left = ordered.flip(1).cumsum(1)  # (B, n) of the last 1, 2, ...: summed from there, the faintest still count
    total = left[:, -1:]
    share = torch.tensor(fractions, dtype=energy.dtype, device=energy.device)  # (F,)
    return energy.shape[1] - torch.searchsorted(left, total - total * share, right=True)


@torch.inference_mode()
def curve_over_energy(
    network: nn.Module, input: Tensor, label: Tensor, relevance: Tensor, fractions: Sequence[float], fill: Fill
) -> tuple[Tensor, Tensor]:
    """Probability of the label where the most relevant features are removed, and where nothing else is left.

    Deletion and insertion (Petsiuk et al., arXiv 1806.07421) until the features with a share of the energy, see
    `energy_removed`, have been.

    Args:
        network: in evaluation mode.
        input, relevance: (B, ...).
        label: (B,) int64.
        fractions: F shares of the energy, from 0 to 1.
        fill: what stands in the place of what is removed.

    Returns:
        Of deletion, where lower is better, and of insertion, where higher is: (B, F) each.
    """
    rank, filled = ranks(relevance), fill(input)
    kinds: tuple[list[Tensor], list[Tensor]] = ([], [])  # (B,) of each fraction
    for count in energy_removed(input, fill.silence, rank, fractions).unbind(1):
        first = rank < count.view(-1, *[1] * (input.dim() - 1))
        for found, changed in zip(kinds, ((filled, input), (input, filled)), strict=True):
            probabilities = network(torch.where(first, *changed)).float().softmax(1)  # (B, C)
            found.append(probabilities.gather(1, label[:, None])[:, 0])
    deletion, insertion = (torch.stack(found, 1) for found in kinds)
    return deletion, insertion
