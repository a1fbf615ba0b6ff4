"""zennit's rules, without what they compute in vain.

zennit lets autograd take each layer's own gradient and throws it away for the layer's relevance; it clones what goes
into a layer; and it asks after the sign of outputs that can have but one. A rule here takes the place of the layer's
gradient, so that a layer costs its forward pass, one with the rule's weights, and one gradient of that. Relevance is
the same.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, unfold
from zennit.core import Hook, ParamMod, RemovableHandleList, stabilize
from zennit.rules import ClampMod, NoMod, zero_bias

Forward = Callable[[Tensor], Tensor]
Contributions = tuple[Tensor, Callable[[Tensor], Sequence[Tensor]]]

STABILISER = 1e-6  # zennit's


class Propagation(torch.autograd.Function):
    """A module's forward pass, whose backward pass is a rule's."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, rule: "Rule", module: nn.Module, forward: Forward) -> Tensor:
        ctx.rule, ctx.module, ctx.forward = rule, module, forward
        ctx.save_for_backward(input)
        return forward(input.clone() if getattr(module, "inplace", False) else input)

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor | None, ...]:
        (input,) = ctx.saved_tensors
        return ctx.rule.propagate(input, relevance, ctx.module, ctx.forward), None, None, None


class Rule(Hook):
    """A rule for zennit's composites. It keeps nothing of a pass, so that one serves all layers."""

    @abstractmethod
    def propagate(self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward) -> Tensor:
        """Relevance of a layer's input, given that of its output.

        Args:
            input: (B, ...).
            relevance: of the output.
            module: the layer.
            forward: its own forward pass, with the weights that it has when called.
        """

    def register(self, module: nn.Module) -> RemovableHandleList:
        forward = module.forward
        module.forward = lambda input: Propagation.apply(input, self, module, forward)  # type: ignore[method-assign]
        return RemovableHandleList([Restored(module)])

    def copy(self) -> "Rule":
        return self


class Restored:
    """Gives a module its own forward pass back."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def remove(self) -> None:
        self.module.__dict__.pop("forward", None)


class Pass(Rule):
    """Relevance goes through as it is, as through activations."""

    def propagate(self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward) -> Tensor:
        return relevance


class Merge(Rule):
    """Relevance of a bin is that of its colours together, as Audio-LRP adds up the channels of its heat maps."""

    def propagate(self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward) -> Tensor:
        return relevance.sum(1, keepdim=True)


class Epsilon(Rule):
    """LRP-epsilon: to each input in proportion to its contribution.

    Args:
        epsilon: see `zennit.rules.Epsilon`.
        zero_params: names of parameters that are left out.
    """

    def __init__(self, epsilon: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.epsilon, self.parameters = epsilon, NoMod(zero_params=zero_params)

    def propagate(self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward) -> Tensor:
        leaf, output = contributed(input, self.parameters, module, forward)
        (gradient,) = torch.autograd.grad(output, leaf, relevance / stabilize(output.detach(), self.epsilon))
        return input * gradient


class AlphaBeta(Rule):
    """LRP-alpha-beta: alpha times by positive contributions, less beta times by negative ones; z-plus where beta is 0.

    Behind a ReLU no input is negative, and half of the terms are zero: they are left out then.

    Args:
        alpha, beta: see `zennit.rules.AlphaBeta`.
        zero_params: names of parameters that are left out.
    """

    def __init__(self, alpha: float, beta: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.shares = [(share, sign) for share, sign in ((alpha, 1), (-beta, -1)) if share]
        # weights of one sign: with those of positive inputs goes the bias, of which there is but one
        self.weights = {
            sign: [clamped(sign, zero_params), clamped(-sign, zero_bias(zero_params))] for sign in (1, -1)
        }  # fmt: skip

    def propagate(self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward) -> Tensor:
        inputs = [input.clamp(min=0), input.clamp(max=0)] if (input < 0).any() else [input]
        contribute = as_product if has_few_inputs(module) else as_layer
        total = torch.zeros_like(input)
        for share, sign in self.shares:
            output, gradients_for = contribute(inputs, self.weights[sign], module, forward)
            divisor = output.add_(sign * STABILISER)  # no output has the other sign
            quotient = torch.div(relevance, divisor, out=divisor)
            for part, gradient in zip(inputs, gradients_for(quotient), strict=True):
                total.addcmul_(part, gradient, value=share)
        return total


def clamped(sign: int, zero_params: list[str] | None) -> ParamMod:
    """Weights of one sign only."""
    return ClampMod(min=0.0, zero_params=zero_params) if sign > 0 else ClampMod(max=0.0, zero_params=zero_params)


def contributed(input: Tensor, weights: ParamMod, module: nn.Module, forward: Forward) -> tuple[Tensor, Tensor]:
    """The input as a leaf of autograd's, and what the layer makes of it with other weights."""
    leaf = input.detach().requires_grad_()
    with weights(module), torch.enable_grad():
        return leaf, forward(leaf)


def as_layer(inputs: list[Tensor], weights: list[ParamMod], module: nn.Module, forward: Forward) -> Contributions:
    """The sum of what a layer makes of each input with its weights, and the gradients for a gradient of that."""
    pairs = zip(inputs, weights[: len(inputs)], strict=True)
    leaves, outputs = zip(*(contributed(input, own, module, forward) for input, own in pairs), strict=True)
    total = outputs[0].detach()
    for output in outputs[1:]:
        total.add_(output.detach())
    return total, lambda gradient: torch.autograd.grad(outputs, leaves, [gradient] * len(outputs))


def has_few_inputs(module: nn.Module) -> bool:
    """Whether each output of a convolution has so few inputs that a product of matrices beats its gradient.

    First layers do: of one channel, PyTorch's gradient takes longer than the rest of AlexNet's forward pass.
    """
    if not isinstance(module, nn.Conv1d | nn.Conv2d) or module.groups > 1 or isinstance(module.padding, str):
        return False
    return module.padding_mode == "zeros" and module.weight[0].numel() <= 2 * module.out_channels


def as_product(inputs: list[Tensor], weights: list[ParamMod], module: nn.Module, forward: Forward) -> Contributions:
    """`as_layer` of a convolution, as one product of matrices for all inputs."""
    layer: Any = module
    flat = inputs[0].dim() == 3  # unfolding knows pictures only
    size = (1, *inputs[0].shape[2:]) if flat else tuple(inputs[0].shape[2:])
    names = ("kernel_size", "dilation", "padding", "stride")
    how = {name: (int(name != "padding"),) * flat + getattr(layer, name) for name in names}
    matrices, bias = [], 0.0
    for own in weights[: len(inputs)]:
        with own(module):
            matrices.append(layer.weight.detach().flatten(1))  # (out, K)
            bias = bias if layer.bias is None else bias + layer.bias.detach()[:, None]
    matrix = torch.cat(matrices, 1)
    columns = torch.cat([unfold(input.view(*input.shape[:2], *size), **how) for input in inputs], 1)  # (B, n * K, L)
    output = matrix @ columns + bias  # (B, out, L)
    sizes = [
        (each + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for each, kernel, dilation, pad, stride in zip(size, *(how[name] for name in names), strict=True)
    ]

    def gradients_for(gradient: Tensor) -> list[Tensor]:
        parts = (matrix.T @ gradient.flatten(2)).chunk(len(inputs), 1)
        return [fold(part, size, **how).view_as(inputs[0]) for part in parts]

    return output.view(*output.shape[:2], *(sizes[1:] if flat else sizes)), gradients_for
