"""Rules of operations over several values: means, sums, norms, and what constants are put beside."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.propagation import Proportional, Step
from auscult.explain.lrp.watch import NoRule, Watch, depends


def linear(watch: Watch, function: Any, input: Tensor, *args: Any, degree: int = 1, **kwargs: Any) -> Tensor:
    """Each value gets its share of what it contributes, see `Proportional`.

    Args:
        watch: as of all rules.
        function: of one tensor and options, without constants: linear (degree 1), or of another degree.
        input, args, kwargs: its arguments.
        degree: `function(c * x)` is `c ** degree * function(x)`. So 1 for norms and deviations, 2 for variances.
    """
    if not depends(input) or any(map(depends, (*args, *kwargs.values()))):
        raise NoRule(f"applies {function.__name__} with computed options")
    return watch.step(Proportional(lambda input: function(input, *args, **kwargs), degree), input)


class Constant(Step):
    """A tensor that does not depend on the network's input, but lies beside values that do. It keeps its relevance.

    Args:
        values: in the layout of the operation's output.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return self.values.clone()

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        return [], relevance, None


class Padded(Step):
    """Constants around the values; they keep the relevance that reaches them, as that of flat does.

    Args:
        function: pads a tensor with zeros or another number.
    """

    def __init__(self, function: Any) -> None:
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        output: Tensor = self.function(inputs[0])
        return output

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        with torch.enable_grad():
            leaf = torch.ones_like(inputs[0]).requires_grad_()
            padded = self.function(leaf)
        inner = self.function(torch.ones_like(inputs[0])) - self.function(torch.zeros_like(inputs[0]))
        return torch.autograd.grad(padded, leaf, relevance), relevance * (1 - inner), None


def pad(watch: Watch, input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Moves values, see `Padded`; other modes repeat them, and add up their relevance."""

    def function(input: Tensor) -> Tensor:
        return torch.nn.functional.pad(input, pad, mode, value)

    return watch.step(Padded(function), input) if mode == "constant" else function(input)


def concatenate(watch: Watch, tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Moves values; constants among them keep the relevance that reaches them, as the class token of a transformer."""
    tensors = [tensor for tensor in tensors if tensor.shape != (0,)] or tensors  # PyTorch lets these stand anywhere
    dtype = functools.reduce(torch.promote_types, [tensor.dtype for tensor in tensors])
    kept = [tensor if depends(tensor) else watch.step(Constant(tensor.to(dtype))) for tensor in tensors]
    return torch.cat(kept, dim if axis is None else axis)


def stack(watch: Watch, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """As `concatenate`."""
    return concatenate(watch, [tensor.unsqueeze(dim) for tensor in tensors], dim)


def choose(watch: Watch, condition: Tensor, one: Any, other: Any) -> Tensor:
    """`torch.where`: as `concatenate`. The method has the condition second."""
    if condition.dtype != torch.bool:
        condition, one = one, condition
    like = one if depends(one) else other
    shape = torch.broadcast_shapes(condition.shape, *(each.shape for each in (one, other) if isinstance(each, Tensor)))
    parts = [
        each if depends(each) else watch.step(Constant(torch.as_tensor(each).to(like).expand(shape)))
        for each in (one, other)
    ]
    return torch.where(condition, parts[0], parts[1])


def fill(watch: Watch, input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`masked_fill`, as `choose`: what is filled in keeps the relevance that reaches it."""
    return choose(watch, mask, value, input)


def triangle(function: Any) -> Any:
    """`torch.tril` and `torch.triu`, as `fill`."""

    def rule(watch: Watch, input: Tensor, diagonal: int = 0) -> Tensor:
        kept = function(torch.ones(input.shape[-2:], dtype=torch.bool, device=input.device), diagonal)
        return fill(watch, input, ~kept, 0)

    return rule


def set_item(watch: Watch, tensor: Tensor, place: Any, values: Any) -> Tensor:
    """A copy of a tensor with other values at a place, as `choose`."""
    mask = torch.zeros(tensor.shape, dtype=torch.bool, device=tensor.device)
    mask[place] = True
    filled = torch.zeros_like(tensor)
    if filled[place].numel() > int(mask.sum()):
        raise NoRule("writes to the same place more than once")
    filled[place] = values  # it depends on the network's input if they do
    return choose(watch, mask, filled, tensor)


def larger(watch: Watch, one: Tensor, other: Tensor) -> Tensor:
    """`torch.maximum`: the winner takes all, be it a constant."""
    return winner(watch, one, other, torch.maximum, one >= other)


def smaller(watch: Watch, one: Tensor, other: Tensor) -> Tensor:
    """`torch.minimum`, as `larger`."""
    return winner(watch, one, other, torch.minimum, one <= other)


def winner(watch: Watch, one: Tensor, other: Tensor, function: Any, is_one: Tensor) -> Tensor:
    """The values of one tensor where it wins, and those of the other elsewhere. Equal ones share, if both depend."""
    if depends(one) and depends(other):
        output: Tensor = function(one, other)
        return output
    return choose(watch, is_one, one, other)
