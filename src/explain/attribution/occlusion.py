"""Relevance from hiding parts of the input."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, baseline_of, explaining, target_logit
from auscult.explain.attribution.options import check_option, gaps
from auscult.mistake import Mistake


class Occlusion(Attribution):
    """The loss of the logit when a window is hidden, averaged over all windows that contain a value.

    After Zeiler and Fergus, arXiv 1311.2901. The window slides over all dimensions but the batch, in one channel
    at a time. Windows end at the edges of the input, so that every value is hidden at least once. Each window costs one
    forward pass.

    Args:
        window: size of the window, as a number of values or, below 1, as a share of the dimension. One number for all
            dimensions, or one for each.
        stride: distance from one window to the next, in the same unit; not more than the window.
        baseline: the value that replaces hidden values; None: what the front end makes of silence.
    """

    asks_logits_only = starts_from_silence = True

    def __init__(
        self,
        window: float | Sequence[float] = 0.1,
        stride: float | Sequence[float] = 0.05,
        baseline: float | None = None,
    ) -> None:
        check_option("window", window, several=True)
        check_option("stride", stride, several=True)
        check_option("baseline", baseline)
        self.window, self.stride, self.baseline = window, stride, baseline

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, target), torch.no_grad():
            hiding = baseline_of(self.baseline, silence, input)
            whole = target_logit(network, input, target)  # (B,)
            total, hidings = torch.zeros_like(input.real), torch.zeros_like(input[:1].real)
            for region in self._regions(*input.shape[1:]):
                hidden = input.clone()
                hidden[region] = hiding[region]
                loss = whole - target_logit(network, hidden, target)
                total[region] += loss.view(-1, *[1] * (input.dim() - 1))
                hidings[region] += 1
            return total / hidings

    def _regions(self, channels: int, *sizes: int) -> Iterator[tuple]:
        windows, strides = _counts("window", self.window, sizes), _counts("stride", self.stride, sizes)
        if any(stride > window for stride, window in zip(strides, windows, strict=True)):
            raise gaps(self.stride, self.window)
        slices = [
            [slice(start, start + window) for start in range(0, size - window + stride, stride)]
            for size, window, stride in zip(sizes, windows, strides, strict=True)
        ]
        for channel, *region in itertools.product(range(channels), *slices):
            yield (slice(None), slice(channel, channel + 1), *region)


def per_dimension(extent: float | Sequence[float], dimensions: int) -> list[float]:
    """One extent per dimension, from a list or from one number for all dimensions."""
    return list(extent) if isinstance(extent, Sequence) and not isinstance(extent, str) else [extent] * dimensions


def _counts(option: str, extent: float | Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Converts extents to numbers of values, (D,), for dimensions of these sizes, (D,)."""
    extents = per_dimension(extent, len(sizes))
    if len(extents) != len(sizes):
        raise Mistake(f"attribution.{option}={extent} names {len(extents)} dimensions; the input has {len(sizes)}.")
    counts = [each if each >= 1 else each * size for each, size in zip(extents, sizes, strict=True)]
    return [min(max(round(count), 1), size) for count, size in zip(counts, sizes, strict=True)]
