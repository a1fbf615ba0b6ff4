"""Rules of normalisations whose statistics are those of the clip."""

from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.layers import batch_norm
from auscult.explain.lrp.propagation import Function, Pass, Shares, Step, proportional
from auscult.explain.lrp.watch import Watch


class Normalised(Step):
    """`(x - mean) / deviation * weight + bias`, with the deviation as a constant (Ali et al., arXiv 2202.07304).

    With the deviation given, it is affine in x: the epsilon rule, as in LXT (Achtibat et al., proposition 3.4), without
    an epsilon, see `Proportional`.

    Args:
        function: PyTorch's, of one tensor.
        view: gives a tensor the shape in which the last dimension is normalised.
        eps: is added to the variance.
        weight, bias: broadcast to the input; None: none.
    """

    def __init__(self, function: Function, view: Function, eps: float, weight: Any, bias: Any) -> None:
        self.function, self.view, self.eps, self.weight, self.bias = function, view, eps, weight, bias

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return self.function(*inputs)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        (input,) = inputs
        rows = self.view(input)
        centred = rows - rows.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + self.eps).sqrt()  # `var` takes ten times as long

        def contributed(quotient: Tensor) -> list[Tensor]:
            scaled = self.view(quotient if self.weight is None else quotient * self.weight) / deviation
            return [input * (scaled - scaled.mean(-1, keepdim=True)).reshape(input.shape)]

        return proportional(relevance, output, contributed, self.bias)


def layer_norm(
    watch: Watch, input: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any, **__: Any
) -> Tensor:
    """See `Normalised`."""

    def function(input: Tensor) -> Tensor:
        return torch.layer_norm(input, shape, weight, bias, eps)

    return watch.step(Normalised(function, lambda input: input.flatten(-len(shape)), eps, weight, bias), input)


def group_norm(
    watch: Watch, input: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Tensor:
    """See `Normalised`."""

    def function(input: Tensor) -> Tensor:
        return torch.group_norm(input, groups, weight, bias, eps)

    def view(input: Tensor) -> Tensor:
        return input.unflatten(1, (groups, -1)).flatten(2)

    own = (None if each is None else each.view(-1, *[1] * (input.dim() - 2)) for each in (weight, bias))
    return watch.step(Normalised(function, view, eps, *own), input)


def instance_norm(
    watch: Watch, input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, own: bool, _: Any, eps: float,
    *__: Any,
) -> Tensor:  # fmt: skip
    """See `Normalised`; as a batch norm, with the statistics of training."""
    if not own:  # the statistics of training
        return batch_norm(watch, input, weight, bias, mean, variance, False, 0.0, eps)
    return group_norm(watch, input, input.shape[1], weight, bias, eps)


def rms_norm(watch: Watch, input: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """The identity rule: the root mean square as a constant, each value is scaled (Achtibat et al., prop. 3.4)."""
    return watch.step(Pass(lambda input: torch.rms_norm(input, shape, weight, eps)), input)
