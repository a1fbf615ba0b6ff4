"""zennit's rules, without what they compute in vain.

zennit lets autograd take each layer's own gradient and throws it away for the layer's relevance; it clones what goes
into a layer; and it asks after the sign of outputs that can have but one. A rule here takes the place of the layer's
gradient, so that a layer costs its forward pass, one with the rule's weights, and one gradient of that. Relevance is
the same. What the bias of a layer gets, which zennit drops, is collected beside it.
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
    """A module's forward pass, whose backward pass is a rule's.

    A bias is the weight of one more input, which is always 1. `biases`, (B,), stands for those of all layers: its
    gradient is the relevance of them.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, biases: Tensor | None, rule: "Rule", module: nn.Module, forward: Forward
    ) -> Tensor:
        ctx.rule, ctx.module, ctx.forward = rule, module, forward
        ctx.clips = None if biases is None else len(biases)
        ctx.save_for_backward(input)
        return forward(input.clone() if getattr(module, "inplace", False) else input)

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor | None, ...]:
        (input,) = ctx.saved_tensors
        of_input, of_bias = ctx.rule.propagate(input, relevance, ctx.module, ctx.forward)
        if of_bias is not None and len(of_bias) != ctx.clips:  # rows that are no clips, such as frames
            of_bias = None if ctx.clips is None else of_bias.new_full((ctx.clips,), torch.nan)
        return of_input, of_bias, None, None, None


class Rule(Hook):
    """A rule for zennit's composites. One serves all layers.

    Attributes:
        biases: (B,), stands for the biases in the next pass (see `Propagation`); None: nobody asks.
    """

    biases: Tensor | None = None

    @abstractmethod
    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        """Relevance of a layer's input, and of its bias, given that of its output.

        Args:
            input: (B, ...).
            relevance: of the output.
            module: the layer.
            forward: its own forward pass, with the weights that it has when called.

        Returns:
            (B, ...), and (B,), each clip's sum; None where no bias takes part.
        """

    def register(self, module: nn.Module) -> RemovableHandleList:
        forward = module.forward

        def ruled(input: Tensor) -> Tensor:
            return Propagation.apply(input, self.biases, self, module, forward)

        module.forward = ruled  # type: ignore[method-assign]
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

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        return relevance, None


class Merge(Rule):
    """Relevance of a bin is that of its colours together, as Audio-LRP adds up the channels of its heat maps."""

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        return relevance.sum(1, keepdim=True), None


class Epsilon(Rule):
    """LRP-epsilon: to each input, and the bias, in proportion to its contribution (Bach et al., equation 58).

    Args:
        epsilon: see `zennit.rules.Epsilon`.
        zero_params: names of parameters that are left out.
    """

    def __init__(self, epsilon: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.epsilon, self.zero_params, self.parameters = epsilon, zero_params, NoMod(zero_params=zero_params)

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        leaf, output = contributed(input, self.parameters, module, forward)
        quotient = relevance / stabilize(output.detach(), self.epsilon)
        (gradient,) = torch.autograd.grad(output, leaf, quotient)
        bias = bias_of(module, self.zero_params)
        return input * gradient, None if bias is None else summed(quotient, bias, module)


class AlphaBeta(Rule):
    """LRP-alpha-beta: alpha times by positive contributions, less beta times by negative ones; z-plus where beta is 0.

    A positive bias is one of the positive contributions, a negative one of the negative (Bach et al., equation 60).
    Behind a ReLU no input is negative, and half of the terms are zero: they are left out then.

    Args:
        alpha, beta: see `zennit.rules.AlphaBeta`.
        zero_params: names of parameters that are left out.
    """

    def __init__(self, alpha: float, beta: float, zero_params: list[str] | None) -> None:
        super().__init__()
        self.zero_params = zero_params
        self.shares = [(share, sign) for share, sign in ((alpha, 1), (-beta, -1)) if share]
        # weights of one sign: with those of positive inputs goes the bias, of which there is but one
        self.weights = {
            sign: [clamped(sign, zero_params), clamped(-sign, zero_bias(zero_params))] for sign in (1, -1)
        }  # fmt: skip

    def propagate(
        self, input: Tensor, relevance: Tensor, module: nn.Module, forward: Forward
    ) -> tuple[Tensor, Tensor | None]:
        inputs = [input.clamp(min=0), input.clamp(max=0)] if (input < 0).any() else [input]
        contribute = as_product if has_few_inputs(module) else as_layer
        total, bias = torch.zeros_like(input), bias_of(module, self.zero_params)
        of_bias = None if bias is None else input.new_zeros(len(input))
        for share, sign in self.shares:
            output, gradients_for = contribute(inputs, self.weights[sign], module, forward)
            divisor = output.add_(sign * STABILISER)  # no output has the other sign
            quotient = torch.div(relevance, divisor, out=divisor)
            for part, gradient in zip(inputs, gradients_for(quotient), strict=True):
                total.addcmul_(part, gradient, value=share)
            if bias is not None and of_bias is not None:
                own = bias.clamp(min=0) if sign > 0 else bias.clamp(max=0)
                of_bias += share * summed(quotient, own, module)
        return total, of_bias


def bias_of(module: nn.Module, zero_params: list[str] | None) -> Tensor | None:
    """A layer's bias (out,); None where it has none, or it is left out."""
    bias = getattr(module, "bias", None)
    return None if bias is None or "bias" in (zero_params or ()) else bias.detach()


def summed(quotient: Tensor, bias: Tensor, module: nn.Module) -> Tensor:
    """What a bias (out,) gets of each clip, (B,): itself times the outputs' relevance over their denominators."""
    return torch.einsum("b...o,o->b" if isinstance(module, nn.Linear) else "bo...,o->b", quotient, bias)


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
