"""Relevance by hiding parts of the input."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, baseline_of, check_option, explaining, target_logit
from auscult.mistake import Mistake


class Occlusion(Attribution):
    """What the logit loses when a window is hidden, averaged over the windows that hide a value.

    After Zeiler and Fergus, arXiv 1311.2901. The window slides over all dimensions but batch and channel; those at the
    far edges are cut off there, so that every value is hidden at least once. Costs one forward pass per window.

    Args:
        window: its extent, as a number of values or, below 1, as a share of the dimension; one per dimension, or one
            for all.
        stride: from one window to the next, likewise; not more than the window.
        baseline: the value that hides; None: what silence has there.
    """

    asks_logits_only = starts_from_silence = True

    def __init__(
        self,
        window: float | Sequence[float] = 0.1,
        stride: float | Sequence[float] = 0.05,
        baseline: float | None = None,
    ) -> None:
        for option, extent in (("window", window), ("stride", stride)):
            for each in per_dimension(extent, dimensions=1):
                check_option(option, each, float, low=1e-6)
        check_option("baseline", baseline, float, nullable=True)
        self.window, self.stride, self.baseline = window, stride, baseline

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, target), torch.no_grad():
            hiding = baseline_of(self.baseline, silence, input)
            whole = target_logit(network, input, target)  # (B,)
            total, hidings = torch.zeros_like(input.real), torch.zeros_like(input[:1].real)
            for region in self._regions(input.shape[2:]):
                hidden = input.clone()
                hidden[region] = hiding[region]
                loss = whole - target_logit(network, hidden, target)
                total[region] += loss.view(-1, *[1] * (input.dim() - 1))
                hidings[region] += 1
            return total / hidings

    def _regions(self, sizes: Sequence[int]) -> Iterator[tuple]:
        windows, strides = _counts("window", self.window, sizes), _counts("stride", self.stride, sizes)
        if any(stride > window for stride, window in zip(strides, windows, strict=True)):
            raise Mistake(f"attribution.stride={self.stride} leaves gaps between windows of {self.window}; lower it.")
        slices = [
            [slice(start, start + window) for start in range(0, size - window + stride, stride)]
            for size, window, stride in zip(sizes, windows, strides, strict=True)
        ]
        for region in itertools.product(*slices):
            yield (..., *region)


def per_dimension(extent: float | Sequence[float], dimensions: int) -> list[float]:
    """One extent per dimension, of one for each or one for all."""
    return list(extent) if isinstance(extent, Sequence) and not isinstance(extent, str) else [extent] * dimensions


def _counts(option: str, extent: float | Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Extents in values, (D,), within dimensions of these sizes, (D,)."""
    extents = per_dimension(extent, len(sizes))
    if len(extents) != len(sizes):
        raise Mistake(f"attribution.{option}={extent} names {len(extents)} dimensions; the input has {len(sizes)}.")
    counts = [each if each >= 1 else each * size for each, size in zip(extents, sizes, strict=True)]
    return [min(max(round(count), 1), size) for count, size in zip(counts, sizes, strict=True)]
