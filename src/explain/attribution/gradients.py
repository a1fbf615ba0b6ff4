"""Relevance by gradients of the logit."""

import itertools

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, baseline_of, explaining, input_gradient
from auscult.explain.attribution.options import check_option


class Gradient(Attribution):
    """The gradient of the logit, with its sign (Simonyan et al., arXiv 1312.6034)."""

    is_slope = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            return input_gradient(network, input, target)


class GradientXInput(Attribution):
    """The gradient times the input (Shrikumar et al., arXiv 1605.01713): the first-order terms of the logit at zero."""

    conserves = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            return input * input_gradient(network, input, target)


class IntegratedGradients(Attribution):
    """The mean gradient on the straight path from a baseline to the input, times the difference of the two.

    After Sundararajan et al., arXiv 1703.01365. With more steps, the sum of the relevance comes closer to the logit of
    the input minus that of the baseline (completeness). Steps end at (k / steps)^3, so they are short near the
    baseline, where the logit changes fast. With 32 even steps, AudioNet's sum misses the difference by up to 13 %; with
    these steps, by 1 %.

    Args:
        steps: gradients per clip.
        baseline: the value of each feature at the start of the path; None: what the front end makes of silence.
    """

    conserves = True
    starts_from_silence = True

    def __init__(self, steps: int = 32, baseline: float | None = None) -> None:
        check_option("steps", steps)
        check_option("baseline", baseline)
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


class SmoothGrad(Attribution):
    """The mean gradient over noisy copies of the input (Smilkov et al., arXiv 1706.03825).

    All clips get the same draws, scaled to the range of the clip.

    Args:
        noise: standard deviation of the Gaussian noise, as a share of the clip's range from lowest to highest value.
        samples: noisy copies per clip.
        seed: seed of the noise.
    """

    is_slope = True

    def __init__(self, noise: float = 0.1, samples: int = 25, seed: int = 0) -> None:
        check_option("noise", noise)
        check_option("samples", samples)
        check_option("seed", seed)
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
