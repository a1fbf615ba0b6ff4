"""zennit's rules, without unnecessary computation.

zennit lets autograd compute the gradient of each layer, and then replaces it by the layer's relevance. It also clones
the input of a layer, and checks the sign of outputs that can have only one. Here a rule replaces the gradient from the
start. So a layer costs its forward pass, one forward pass with the rule's weights, and one gradient. Relevance is the
same. The relevance of biases, which zennit drops, is collected in addition.
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
    """The forward pass of a module, with a rule as its backward pass.

    A bias is the weight of one more input, which is always 1. `biases`, (B,), stands for the biases of all layers: its
    gradient is their relevance.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, biases: Tensor | None, rule: "Rule", module: nn.Module, forward: Forward
    ) -> Tensor:
        """The layer's output, and what the backward pass needs."""
        ctx.rule, ctx.module, ctx.forward = rule, module, forward
        ctx.clips = None if biases is None else len(biases)
        ctx.save_for_backward(input)
        return forward(input.clone() if getattr(module, "inplace", False) else input)

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor | None, ...]:
        """Relevance of the input and of the biases, given that of the output."""
        (input,) = ctx.saved_tensors
        input_relevance, bias_relevance = ctx.rule.propagate(input, relevance, ctx.module, ctx.forward)
        if bias_relevance is not None and len(bias_relevance) != ctx.clips:  # rows that are not clips, such as frames
            bias_relevance = None if ctx.clips is None else bias_relevance.new_full((ctx.clips,), torch.nan)
        return input_relevance, bias_relevance, None, None, None


class Rule(Hook):
    """A rule for zennit's composites. One object serves all layers.

    Attributes:
        biases: (B,), stands for the biases in the next pass (see `Propagation`); None: their relevance is not needed.
    """

    biases: Tensor | None = None

    @abstractmethod
    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """Relevance of a layer's input and of its bias, given the relevance of its output.

        Args:
            input: (B, ...).
            relevance: relevance of the output, in its shape.
            module: the layer.
            forward: the forward pass of the layer, with the weights that it has at the time of the call.

        Returns:
            Relevance of the input (B, ...), and of the bias (B,), summed per clip; None if no bias takes part.
        """

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Gives a module this rule; the handles remove it."""
        forward = module.forward

        def ruled(input: Tensor) -> Tensor:
            return Propagation.apply(input, self.biases, self, module, forward)

        module.forward = ruled  # type: ignore[method-assign]
        return RemovableHandleList([Restored(module)])

    def copy(self) -> "Rule":
        """The rule itself, as one object serves all layers; zennit asks for a copy per layer."""
        return self


class Restored:
    """A handle that gives a module its own forward pass back."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def remove(self) -> None:
        """Gives the forward pass back."""
        self.module.__dict__.pop("forward", None)


class Pass(Rule):
    """Passes relevance through unchanged: the rule of activations."""

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """See `Rule.propagate`."""
        return relevance, None


class Merge(Rule):
    """Sums the relevance of a bin over its colours, as Audio-LRP adds up the channels of its heat maps."""

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """See `Rule.propagate`."""
        return relevance.sum(1, keepdim=True), None


class Epsilon(Rule):
    """LRP-epsilon: relevance goes to inputs and bias in proportion to their contributions (Bach et al., equation 58).

    Args:
        epsilon: see `zennit.rules.Epsilon`.
        zero_params: names of the parameters that are left out.
    """

    def __init__(self, epsilon: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.epsilon, self.zero_params, self.parameters = epsilon, zero_params, NoMod(zero_params=zero_params)

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """See `Rule.propagate`."""
        leaf, output = contributed(input, self.parameters, module, forward)
        quotient = relevance / stabilize(output.detach(), self.epsilon)
        (gradient,) = torch.autograd.grad(output, leaf, quotient)
        bias = bias_of(module, self.zero_params)
        return input * gradient, None if bias is None else summed(quotient, bias, module)


class AlphaBeta(Rule):
    """LRP-alpha-beta: alpha times the shares of positive contributions, minus beta times those of negative ones.

    With beta 0 it is z-plus. A positive bias belongs to the positive contributions, a negative bias to the negative
    ones (Bach et al., equation 60). After a ReLU no input is negative; the terms that are then zero are left out.

    Args:
        alpha, beta: see `zennit.rules.AlphaBeta`.
        zero_params: names of parameters that are left out.
    """

    def __init__(self, alpha: float, beta: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.zero_params = zero_params
        self.shares = [(share, sign) for share, sign in ((alpha, 1), (-beta, -1)) if share]
        # weights of one sign; the bias goes with the weights of positive inputs, so that it counts once
        self.weights = {
            sign: [clamped(sign, zero_params), clamped(-sign, zero_bias(zero_params))] for sign in (1, -1)
        }  # fmt: skip

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """See `Rule.propagate`."""
        inputs = [input.clamp(min=0), input.clamp(max=0)] if (input < 0).any() else [input]
        contribute = as_product if has_few_inputs(module) else as_layer
        total, bias = torch.zeros_like(input), bias_of(module, self.zero_params)
        bias_relevance = None if bias is None else input.new_zeros(len(input))
        for share, sign in self.shares:
            output, gradients_for = contribute(inputs, self.weights[sign], module, forward)
            divisor = output.add_(sign * STABILISER)  # no output has the opposite sign
            quotient = torch.div(relevance, divisor, out=divisor)
            for part, gradient in zip(inputs, gradients_for(quotient), strict=True):
                total.addcmul_(part, gradient, value=share)
            if bias is not None and bias_relevance is not None:
                own = bias.clamp(min=0) if sign > 0 else bias.clamp(max=0)
                bias_relevance += share * summed(quotient, own, module)
        return total, bias_relevance


def bias_of(module: nn.Module, zero_params: list[str] | None) -> Tensor | None:
    """The bias (out,) of a layer; None if it has none, or if biases are left out."""
    bias = getattr(module, "bias", None)
    return None if bias is None or "bias" in (zero_params or ()) else bias.detach()


def summed(quotient: Tensor, bias: Tensor, module: nn.Module) -> Tensor:
    """Relevance of a bias (out,) per clip, (B,): the bias times the quotients of the outputs, summed.

    The quotient of an output is its relevance over its denominator.
    """
    return torch.einsum("b...o,o->b" if isinstance(module, nn.Linear) else "bo...,o->b", quotient, bias)


def clamped(sign: int, zero_params: list[str] | None) -> ParamMod:
    """Keeps only the weights of one sign."""
    return ClampMod(min=0.0, zero_params=zero_params) if sign > 0 else ClampMod(max=0.0, zero_params=zero_params)


def contributed(input: Tensor, weights: ParamMod, module: nn.Module, forward: Forward) -> tuple[Tensor, Tensor]:
    """The input as a leaf of autograd, and the output of the layer with modified weights."""
    leaf = input.detach().requires_grad_()
    with weights(module), torch.enable_grad():
        return leaf, forward(leaf)


def as_layer(inputs: list[Tensor], weights: list[ParamMod], module: nn.Module, forward: Forward) -> Contributions:
    """Sums the layer's outputs over inputs, each with its own weights. Also gives the function for their gradients."""
    pairs = zip(inputs, weights[: len(inputs)], strict=True)
    leaves, outputs = zip(*(contributed(input, own, module, forward) for input, own in pairs), strict=True)
    total = outputs[0].detach()
    for output in outputs[1:]:
        total.add_(output.detach())
    return total, lambda gradient: torch.autograd.grad(outputs, leaves, [gradient] * len(outputs))


def has_few_inputs(module: nn.Module) -> bool:
    """Whether each output of a convolution has so few inputs that a product of matrices beats its gradient.

    First layers have few: for one channel, PyTorch's gradient takes longer than the rest of AlexNet's forward pass.
    """
    if not isinstance(module, nn.Conv1d | nn.Conv2d) or module.groups > 1 or isinstance(module.padding, str):
        return False
    return module.padding_mode == "zeros" and module.weight[0].numel() <= 2 * module.out_channels


def as_product(inputs: list[Tensor], weights: list[ParamMod], module: nn.Module, forward: Forward) -> Contributions:
    """Does the same as `as_layer` for a convolution, by one product of matrices for all inputs."""
    layer: Any = module
    flat = inputs[0].dim() == 3  # unfold needs two dimensions
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
