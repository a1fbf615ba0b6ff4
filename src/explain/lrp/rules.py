"""Rules for layers: how the relevance of a layer's output is shared out among its inputs and its bias.

The rules are zennit's, and their results are equal to zennit's. zennit lets autograd compute the gradient of a layer,
and then replaces it by relevance. Here relevance takes the gradient's place from the start, so that a layer costs its
forward pass, one forward pass with the rule's weights, and one gradient.
"""

from abc import ABC, abstractmethod
from functools import partial

import torch
from torch import Tensor

from auscult.explain.lrp.layer import Layer
from auscult.explain.lrp.product import as_product, has_few_inputs

STABILISER = 1e-6  # zennit's
Shares = tuple[Tensor, Tensor | None, Tensor | None]


class Rule(ABC):
    """A rule for layers.

    Attributes:
        needs_graph: the rule needs the layer's gradient as it is, so that the forward pass is recorded for it.
        uses_bias: the bias is part of the denominators, and gets its share.
    """

    needs_graph = False
    uses_bias = True

    @abstractmethod
    def shares(self, layer: Layer, input: Tensor, output: Tensor, relevance: Tensor) -> Shares:
        """Relevance of a layer's input and of its bias, given the relevance of its output.

        Args:
            layer: the layer.
            input: (B, ...), a leaf of autograd's graph if the rule needs it.
            output: the layer's output.
            relevance: relevance of the output, in its shape.

        Returns:
            Relevance of the input (B, ...); of the bias, in the output's leading dimensions; and what nothing could
            get, in the output's shape: relevance of outputs without contributions. None: nothing.
        """


class Epsilon(Rule):
    """LRP-epsilon: relevance goes to inputs and bias in proportion to their contributions (Bach et al., equation 58).

    `R_i = x_i * sum_j w_ji * R_j / (z_j + epsilon * sign(z_j))`, with the output z.

    Args:
        epsilon: absorbs the relevance of outputs that are smaller.
        uses_bias: see `Rule`.
    """

    needs_graph = True

    def __init__(self, epsilon: float, uses_bias: bool) -> None:
        self.epsilon, self.uses_bias = epsilon, uses_bias

    def shares(self, layer: Layer, input: Tensor, output: Tensor, relevance: Tensor) -> Shares:
        """See `Rule.shares`."""
        quotient, lost = divided(relevance, output.detach(), self.epsilon)
        # batch norms behind the layer may use its graph, too
        (gradient,) = torch.autograd.grad(output, input, quotient, retain_graph=True)
        bias = layer.bias if self.uses_bias else None
        kept = None if bias is None else layer.per_row(quotient, bias)
        return input.detach() * gradient, kept, lost


class AlphaBeta(Rule):
    """LRP-alpha-beta: alpha times the shares of positive contributions, minus beta times those of negative ones.

    `R_i = sum_j (alpha * z_ji+ / z_j+ - beta * z_ji- / z_j-) * R_j`, with contributions `z_ji = w_ji * x_i`. With
    beta 0 it is z-plus. A positive bias belongs to the positive contributions, a negative bias to the negative ones
    (Bach et al., equation 60). After a ReLU no input is negative; the terms that are then zero are left out.

    Args:
        alpha, beta: `alpha - beta` is 1.
        uses_bias: see `Rule`.
        epsilon: is added to the contributions of either sign; it absorbs the relevance of smaller ones.
    """

    def __init__(self, alpha: float, beta: float, uses_bias: bool, epsilon: float = STABILISER) -> None:
        self.uses_bias, self.epsilon = uses_bias, epsilon
        self.parts = [(share, sign) for share, sign in ((alpha, 1), (-beta, -1)) if share]

    def shares(self, layer: Layer, input: Tensor, output: Tensor, relevance: Tensor) -> Shares:
        """See `Rule.shares`."""
        inputs = [input.clamp(min=0), input.clamp(max=0)] if input.amin() < 0 else [input]
        channels_last = relevance.dim() > 2 and relevance.stride(1) == 1
        contribute = partial(as_product, channels_last=channels_last) if has_few_inputs(layer) else as_layer
        total, kept, lost = torch.zeros_like(input), None, None
        for share, sign in self.parts:
            weights = [of_sign(layer.weight, sign), of_sign(layer.weight, -sign)][: len(inputs)]
            bias = of_sign(layer.bias, sign) if self.uses_bias and layer.bias is not None else None
            contributions, gradients_for = contribute(layer, inputs, weights, bias)
            least = contributions.amin() if sign > 0 else -contributions.amax()
            if least <= 0:
                silent = of_nothing(relevance, contributions).mul_(share)
                lost = silent if lost is None else lost + silent
            divisor = contributions.add_(sign * self.epsilon)  # no contribution has the opposite sign
            quotient = torch.div(relevance, divisor, out=divisor)
            for part, gradient in zip(inputs, gradients_for(quotient), strict=True):
                total.addcmul_(part, gradient, value=share)
            if bias is not None:
                own = share * layer.per_row(quotient, bias)
                kept = own if kept is None else kept + own
        return total, kept, lost


class Flat(Rule):
    """LRP-flat: relevance of an output goes to all inputs that it can see, in equal parts; biases get none.

    Lapuschkin et al., Nature Communications 10, 1096, 2019.
    """

    uses_bias = False

    def shares(self, layer: Layer, input: Tensor, output: Tensor, relevance: Tensor) -> Shares:
        """See `Rule.shares`."""
        ones = torch.ones_like(input)
        count, gradients_for = as_layer(layer, [ones], [torch.ones_like(layer.weight)], None)
        return gradients_for(relevance / stable(count, STABILISER))[0], None, None


class Box(Rule):
    """LRP-z^B, for inputs between two bounds (Montavon et al., Pattern Recognition 65, 2017). Biases get none.

    `R_i = sum_j (w_ji * x_i - w_ji+ * low_i - w_ji- * high_i) * R_j / (the same summed over i)`.

    Args:
        low, high: the bounds; None: those of each clip.
    """

    uses_bias = False

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def shares(self, layer: Layer, input: Tensor, output: Tensor, relevance: Tensor) -> Shares:
        """See `Rule.shares`."""
        low = lowest(input) if self.low is None else torch.full_like(input, self.low)
        high = -lowest(-input) if self.high is None else torch.full_like(input, self.high)
        inputs, weights = [input, -low, -high], [layer.weight, of_sign(layer.weight, 1), of_sign(layer.weight, -1)]
        contributions, gradients_for = as_layer(layer, inputs, weights, None)
        gradients = gradients_for(relevance / stable(contributions, STABILISER))
        parts = [part * gradient for part, gradient in zip(inputs, gradients, strict=True)]
        return torch.stack(parts).sum(0), None, unshared(relevance, contributions)


def stable(values: Tensor, epsilon: float) -> Tensor:
    """The values with epsilon added to their size, for divisions: zennit's `stabilize` in two passes instead of six."""
    return values + torch.copysign(values.new_tensor(epsilon), values)


def divided(relevance: Tensor, contributions: Tensor, epsilon: float) -> tuple[Tensor, Tensor | None]:
    """Relevance over contributions whose size epsilon is added to, and the relevance that is `unshared`."""
    divisor = torch.add(contributions, contributions.sign(), alpha=epsilon)
    quotient = torch.div(relevance, divisor, out=divisor)
    if quotient.sum().isfinite():  # so no contribution is zero; a sum is much faster than a look at each
        return quotient, None
    return relevance / stable(contributions, epsilon), unshared(relevance, contributions)


def unshared(relevance: Tensor, contributions: Tensor) -> Tensor | None:
    """The relevance of outputs that nothing contributes to, as in silence; zeros elsewhere. None: there is none."""
    if contributions.abs().amin() > 0:  # a reduction of numbers is much faster than one of booleans
        return None
    return of_nothing(relevance, contributions)


def of_nothing(relevance: Tensor, contributions: Tensor) -> Tensor:
    """The relevance of outputs that nothing contributes to; zeros elsewhere."""
    return torch.eq(contributions, 0, out=torch.empty_like(relevance)).mul_(relevance)


def of_sign(weight: Tensor, sign: int) -> Tensor:
    """The weights of one sign, zeros elsewhere."""
    return weight.clamp(min=0) if sign > 0 else weight.clamp(max=0)


def as_layer(layer: Layer, inputs: list[Tensor], weights: list[Tensor], bias: Tensor | None):  # type: ignore[no-untyped-def]
    """Sums the layer's outputs over inputs, each with its own weights; the first has the bias.

    Returns:
        The sum, and a function that gives the gradients of the inputs for that of the sum.
    """
    leaves = [input.detach().requires_grad_() for input in inputs]
    with torch.enable_grad():
        outputs = [
            layer.operation(leaf, weight, bias if number == 0 else None)
            for number, (leaf, weight) in enumerate(zip(leaves, weights, strict=True))
        ]
    total = outputs[0].detach()
    for output in outputs[1:]:
        total = total.add_(output.detach())
    return total, lambda gradient: torch.autograd.grad(outputs, leaves, [gradient] * len(outputs))


def lowest(input: Tensor) -> Tensor:
    """The lowest value of each clip, or minus its peak if it has both signs, expanded to (B, ...)."""
    inner = tuple(range(1, input.dim()))
    low, high = input.amin(inner, keepdim=True), input.amax(inner, keepdim=True)  # (B, 1, ...)
    return torch.where((low < 0) & (high > 0), torch.minimum(low, -high), low).expand_as(input)
