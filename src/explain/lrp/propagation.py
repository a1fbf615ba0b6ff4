"""The forward pass of an operation, with a rule as its backward pass."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.layer import Layer
from auscult.explain.lrp.node import Node
from auscult.explain.lrp.rules import Rule

TINY = 1e-30  # smaller outputs are nothing
Function = Callable[..., Tensor]
Shares = tuple[Sequence[Tensor], Tensor | None, Tensor | None]


class Step(ABC):
    """What an operation does, and how it hands relevance back. An object serves one call."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """The output of the operation for its inputs."""

    @abstractmethod
    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """Hands relevance of the output back.

        Returns:
            Relevance of each input; what the operation keeps for its constants, in the output's leading dimensions; and
            what nothing could get, likewise. None: nothing.
        """


class Propagation(torch.autograd.Function):
    """Runs a step, and hands relevance back through it.

    `apart`, (2, B), collects what does not reach the input, as its gradient: what the network's constants keep, and
    what nothing could get, because nothing contributed to an output.
    """

    @staticmethod
    def forward(ctx: Any, step: Step, node: Node, apart: Tensor, *inputs: Tensor) -> Tensor:
        """The step's output, and what its backward pass needs."""
        output = step.forward(*inputs)
        ctx.step, ctx.node, ctx.clips = step, node, apart.shape[1]
        ctx.save_for_backward(output, *inputs)
        return output

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Relevance of the inputs and of the constants, given that of the output."""
        shares, *apart = ctx.step.shares(relevance, *ctx.saved_tensors)
        nothing = relevance.new_zeros(ctx.clips)
        gone = torch.stack([nothing if each is None else ctx.node.per_clip(each, ctx.clips) for each in apart])
        if ctx.node.audited:
            ctx.node.note_apart(gone)
            if isinstance(ctx.step, OfScaledLayer):  # the input of its first part
                ctx.node.note_inputs(*shares)
        return None, None, gone, *shares


class OfLayer(Step):
    """A layer with its rule.

    Args:
        layer: the layer.
        rule: its rule.
    """

    def __init__(self, layer: Layer, rule: Rule) -> None:
        self.layer, self.rule = layer, rule
        self.recorded: tuple[Tensor, Tensor] | None = None  # the input as a leaf, and what it contributes

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        (input,) = inputs
        if not self.rule.needs_graph:
            return self.layer(input)
        layer, leaf = self.layer, input.detach().requires_grad_()
        with torch.enable_grad():
            output = layer.operation(leaf, layer.weight, layer.bias if self.rule.uses_bias else None)
        self.recorded = leaf, output
        return output.detach() if self.rule.uses_bias or layer.bias is None else layer(input)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        if not relevance.numel():  # as of a mixture's expert that no clip is sent to
            return [torch.zeros_like(input) for input in inputs], None, None
        leaf, contributions = self.recorded or (*inputs, output)
        share, kept, lost = self.rule.shares(self.layer, leaf, contributions, relevance)
        return [share], kept, lost


class OfScaledLayer(OfLayer):
    """A layer whose output is scaled and shifted, as one layer. The output is at hand, so that only it is scaled.

    Args:
        before: the step of the layer.
        output: the layer's output.
        factor, shift: (channels,).
    """

    def __init__(self, before: OfLayer, output: Tensor, factor: Tensor, shift: Tensor) -> None:
        super().__init__(before.layer.followed_by(factor, shift), before.rule)
        self.before, self.output = before, output.detach()
        shape = (-1, *[1] * (-1 - self.layer.axis))
        self.factor, self.shift = factor.view(shape), shift.view(shape)

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        if self.before.recorded is not None:
            leaf, output = self.before.recorded
            with torch.enable_grad():
                scaled = output * self.factor
                self.recorded = leaf, scaled + self.shift if self.rule.uses_bias else scaled
        return torch.addcmul(self.shift, self.output, self.factor)


class Pass(Step):
    """The identity rule: relevance of the output is that of the input. Of activations, and of scaling.

    Args:
        function: of one input; broadcasting may make its output larger.
    """

    def __init__(self, function: Function) -> None:
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return self.function(*inputs)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        return [relevance.sum_to_size(inputs[0].shape)], None, None


class Proportional(Step):
    """Relevance goes to each value in proportion to what it contributes: itself times its slope.

    `R_i = x_i * sum_j (dz_j / dx_i) * R_j / (n * z_j)`, with the output z, and the n inputs in equal parts. That is the
    epsilon rule, without an epsilon, for what is linear in each of its inputs, such as averages (n = 1) and products of
    matrices (n = 2, the rule of AttnLRP, Achtibat et al., arXiv 2402.05602, equation 15). By Euler's theorem it also
    conserves for a function of degree n, such as a norm (1) or a variance (2).

    Args:
        function: of the inputs, without constants.
        degree: n.
        constant: is added to the output; its share is kept. It broadcasts to the output.
    """

    def __init__(self, function: Function, degree: int = 1, constant: Tensor | None = None) -> None:
        self.function, self.degree, self.constant = function, degree, constant
        self.recorded: tuple[list[Tensor], Tensor] | None = None

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        with torch.enable_grad():
            leaves = [input.detach().requires_grad_() for input in inputs]
            output = self.function(*leaves)
        self.recorded = leaves, output
        return output.detach() if self.constant is None else output.detach() + self.constant

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        assert self.recorded is not None
        leaves, contributions = self.recorded

        def contributed(quotient: Tensor) -> list[Tensor]:
            gradients = torch.autograd.grad(contributions, leaves, quotient / self.degree)
            return [leaf.detach() * gradient for leaf, gradient in zip(leaves, gradients, strict=True)]

        return proportional(relevance, output, contributed, self.constant)


class Sum(Step):
    """`Proportional` for a sum of two tensors, which may broadcast."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return torch.add(*inputs)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""

        def contributed(quotient: Tensor) -> list[Tensor]:
            return [(input * quotient).sum_to_size(input.shape) for input in inputs]

        return proportional(relevance, output, contributed)


def proportional(
    relevance: Tensor, output: Tensor, contributed: Callable[[Tensor], list[Tensor]], constant: Tensor | None = None
) -> Shares:
    """Hands relevance back in proportion to contributions. What is nothing gets none, and gives none.

    Args:
        relevance, output: of the operation.
        contributed: gives what the inputs get, for the relevance of each unit of the output.
        constant: see `Proportional`.
    """
    quotient, is_nothing = relevance / output, None
    if not (quotient.sum() + output.sum()).isfinite():  # sums find what is not finite faster than a look at each
        is_nothing = (output.abs() <= TINY) | output.isinf()
        quotient = relevance / output.masked_fill(is_nothing, torch.inf)
    shares = contributed(quotient)
    kept = None if constant is None else quotient * constant
    if is_nothing is None:
        return shares, kept, None
    shares = [finite(share) for share in shares]
    return shares, None if kept is None else finite(kept), relevance * is_nothing


def finite(share: Tensor) -> Tensor:
    """Relevance with zeros where minus infinity, which a mask has set, was multiplied by zero."""
    return share.nan_to_num(0.0, torch.inf, -torch.inf)
