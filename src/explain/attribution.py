"""How relevant each value of a network's input is: by gradients, by hiding parts of it, and two controls.

Layer-wise relevance propagation is in `lrp.py`. A new attribution is anything that can be called as `Attribution` says,
and a YAML in `conf/attribution`, built with `build(node, "attribution")`.
"""

import itertools
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from src.config import check_number
from src.mistake import Mistake


class Attribution(Protocol):
    """A method that says which values of the input the logit of a class rests on."""

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        """Relevance (B, ...) of inputs (B, ...) for the logits of the classes target (B,) int64.

        It is float32 (float64 if the input is), detached and on the input's device, and does not depend on which
        clips share a batch. The network's modes, parameters and gradients are left as they are.

        What matters to other domains (`domain.py`) a class says of itself: `asks_logits_only` if it takes complex
        inputs, too, and gives real relevance of them; `is_slope` if its values are not shares of the logit;
        `starts_from_silence` if it takes what the front end makes of digital silence, (1, ...), as `silence`. After
        each call, `biases` may say what part of the logit, (B,), the network's biases got instead of the input.
        """
        ...


def relevance_of(
    attribution: Attribution, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor
) -> Tensor:
    """What an attribution says, (B, ...), whatever state its caller is in.

    Args:
        attribution, network, input, target: see `Attribution`.
        silence: (1, ...), what the front end makes of digital silence.

    Raises:
        Mistake: it is no relevance of the input.
    """
    options = {"silence": silence.to(input)} if getattr(attribution, "starts_from_silence", False) else {}
    with torch.inference_mode(False), torch.enable_grad():
        relevance = attribution(network, input.clone(), target.clone(), **options).detach()
    if relevance.shape != input.shape:
        raise Mistake(
            f"the attribution gives relevance of the shape {tuple(relevance.shape)} for inputs of the shape"
            f" {tuple(input.shape)}; choose one that gives each value of the input its own."
        )
    if not relevance.isfinite().all():
        raise Mistake("the relevance is not finite: choose another attribution, or a checkpoint with finite weights.")
    return relevance.to(torch.promote_types(relevance.dtype, torch.float32))


@contextmanager
def explaining(network: nn.Module, input: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Evaluation mode, full precision and gradients, whatever the caller is in: training, autocast, inference mode.

    Yields copies of input and target, as autograd does not take tensors made in inference mode. Restores the mode of
    each module, also of those that differ from the network's.
    """
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(input.device.type, enabled=False):
            precision = torch.promote_types(input.dtype, torch.float32)
            yield input.detach().to(precision, copy=True), target.clone()
    finally:
        for module, training in modes:
            module.training = training


def target_logit(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    """Logits (B,) of the classes target (B,)."""
    return network(input).gather(1, target[:, None]).squeeze(1)


def input_gradient(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    """Gradient (B, ...) of each clip's target logit with respect to its input (B, ...)."""
    leaf = input.detach().requires_grad_()
    return torch.autograd.grad(target_logit(network, leaf, target).sum(), leaf)[0]


class Gradient:
    """How much the logit changes with each value (Simonyan et al., arXiv 1312.6034), with its sign."""

    is_slope = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            return input_gradient(network, input, target)


class GradientXInput:
    """Gradient times value (Shrikumar et al., arXiv 1605.01713): the logit's first-order terms about zero."""

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            return input * input_gradient(network, input, target)


class IntegratedGradients:
    """The gradient, averaged on the straight way from a baseline, times the way.

    After Sundararajan et al., arXiv 1703.01365: the more steps, the closer the sum comes to what the logit gains on the
    way (completeness). Steps end at (k / steps)^3 and so are short near the baseline, for to hear nothing and to hear a
    little are far apart: with 32 even steps AudioNet's sum misses the gain by up to 13 %, with these by 1 %.

    Args:
        steps: gradients per clip.
        baseline: the value of each feature at the start of the way; None: that of silence.
    """

    starts_from_silence = True

    def __init__(self, steps: int = 32, baseline: float | None = None) -> None:
        check_option("steps", steps, int, low=1)
        check_option("baseline", baseline, float, nullable=True)
        self.steps, self.baseline = steps, baseline

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, target):
            begin = baseline_of(self.baseline, silence, input)
            way, total = input - begin, torch.zeros_like(input)
            ends = [(step / self.steps) ** 3 for step in range(self.steps + 1)]
            for start, end in itertools.pairwise(ends):
                gradient = input_gradient(network, begin + (start + end) / 2 * way, target)
                total += (end - start) * gradient
            return way * total


class SmoothGrad:
    """The gradient, averaged over noisy copies of the input (Smilkov et al., arXiv 1706.03825).

    Each clip meets the same draws, scaled to its own range.

    Args:
        noise: standard deviation of the Gaussian noise, as a share of the clip's range from lowest to highest value.
        samples: noisy copies per clip.
        seed: of the noise.
    """

    is_slope = True

    def __init__(self, noise: float = 0.1, samples: int = 25, seed: int = 0) -> None:
        check_option("noise", noise, float, low=0)
        check_option("samples", samples, int, low=1)
        check_option("seed", seed, int, low=0)
        self.noise, self.samples, self.seed = noise, samples, seed

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        with explaining(network, input, target) as (input, target):
            inner = tuple(range(1, input.dim()))
            spread = self.noise * (input.amax(inner, keepdim=True) - input.amin(inner, keepdim=True))  # (B, 1, ...)
            total = torch.zeros_like(input)
            for _ in range(self.samples):
                draw = torch.randn(input.shape[1:], generator=generator, dtype=input.dtype).to(input.device)
                total += input_gradient(network, input + spread * draw, target)
            return total / self.samples


class Occlusion:
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


class Amplitude:
    """Control: how far each value is from nothing, whatever the network.

    Args:
        baseline: the value of nothing; None: that of silence.
    """

    asks_logits_only = starts_from_silence = True

    def __init__(self, baseline: float | None = None) -> None:
        check_option("baseline", baseline, float, nullable=True)
        self.baseline = baseline

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, _):
            return (input - baseline_of(self.baseline, silence, input)).abs()


class Random:
    """Control: Gaussian noise, whatever the network. A clip's noise follows from its values and the seed."""

    asks_logits_only = True

    def __init__(self, seed: int = 0) -> None:
        check_option("seed", seed, int, low=0)
        self.seed = seed

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, _):
            return torch.stack([self._draw(clip) for clip in input.cpu()]).to(input.device)

    def _draw(self, clip: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(clip.numpy().tobytes(), self.seed))
        return torch.randn(clip.shape, generator=generator, dtype=clip.real.dtype)


def baseline_of(baseline: float | None, silence: Tensor | None, input: Tensor) -> Tensor:
    """(1, ...) a number everywhere, or silence where there is no number, or zeros where nobody knows of it."""
    if baseline is None and silence is not None:
        return silence.to(input)
    return torch.full_like(input[:1], 0.0 if baseline is None else baseline)


def check_option(option: str, value: Any, kind: type, low: float = -1e9, nullable: bool = False) -> None:
    """Raises a Mistake unless an option of an attribution is a number of its kind that is not too low."""
    check_number({"attribution": {option: value}}, f"attribution.{option}", kind, low, 1e9, nullable)


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
