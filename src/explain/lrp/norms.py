"""Rules of normalisations whose statistics are those of the clip."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.propagation import Pass, Proportional
from auscult.explain.lrp.watch import NoRule, Watch


def normalised(
    watch: Watch, input: Tensor, view: Callable[[Tensor], Tensor], eps: float, weight: Any, bias: Any
) -> Tensor:
    """`(x - mean) / deviation * weight + bias`, with the deviation as a constant (Ali et al., arXiv 2202.07304).

    With the deviation given, it is affine in x: the epsilon rule, as in LXT (Achtibat et al., proposition 3.4).

    Args:
        watch, input: as of all rules.
        view: gives a tensor the shape in which the last dimension is normalised.
        eps: is added to the variance.
        weight, bias: broadcast to the input; None: none.
    """
    rows = view(input.detach())
    deviation = (rows.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
    factor = 1 if weight is None else weight

    def function(input: Tensor) -> Tensor:
        rows = view(input)
        return ((rows - rows.mean(-1, keepdim=True)) / deviation).reshape(input.shape) * factor

    return watch.step(Proportional(function, constant=bias), input)


def layer_norm(
    watch: Watch, input: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any, **__: Any
) -> Tensor:
    """See `normalised`."""
    return normalised(watch, input, lambda input: input.flatten(-len(shape)), eps, weight, bias)


def group_norm(
    watch: Watch, input: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Tensor:
    """See `normalised`."""
    weight, bias = (None if each is None else each.view(-1, *[1] * (input.dim() - 2)) for each in (weight, bias))
    return normalised(watch, input, lambda input: input.unflatten(1, (groups, -1)).flatten(2), eps, weight, bias)


def instance_norm(
    watch: Watch, input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, own: bool, _: Any, eps: float,
    *__: Any,
) -> Tensor:  # fmt: skip
    """See `normalised`."""
    if not own:
        raise NoRule("applies instance_norm with the statistics of training")
    return group_norm(watch, input, input.shape[1], weight, bias, eps)


def rms_norm(watch: Watch, input: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """The identity rule: the root mean square as a constant, each value is scaled (Achtibat et al., prop. 3.4)."""
    return watch.step(Pass(lambda input: torch.rms_norm(input, shape, weight, eps)), input)
