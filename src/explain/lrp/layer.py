"""A layer: an operation that multiplies its input by weights and adds a bias."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """`operation(input, weight, bias) -> output`, linear in the input and in the weight.

    Attributes:
        kind: `convolution`, `dense`, or `affine`: one weight and one bias per channel. A composite has a rule for each.
        weight, bias: without gradients; the bias (channels,) or None.
        axis: the dimension of the output's channels, negative.
        transposed: the number of groups of a transposed convolution, whose weight is (in, out / groups, ...); 0 for
            layers whose weight is (out, ...).
        options: stride, padding, dilation and groups, one number for each dimension, of a convolution that
            `as_product` can compute; None for others.
    """

    kind: str
    operation: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    axis: int
    transposed: int = 0
    options: dict[str, Any] | None = None

    def __call__(self, input: Tensor) -> Tensor:
        """The output."""
        return self.operation(input, self.weight, self.bias)

    def per_row(self, quotient: Tensor, bias: Tensor) -> Tensor:
        """Products of quotients, in the output's shape, and a bias (channels,), summed over channels and what follows.

        So (B,) of convolutions, and (B, ...) of dense layers.
        """
        return (quotient.flatten(self.axis + 1).sum(-1) if self.axis < -1 else quotient) @ bias

    def followed_by(self, factor: Tensor, shift: Tensor) -> "Layer":
        """The layer with `factor * output + shift` as its output, both (channels,)."""
        if self.transposed:
            grouped = self.weight.unflatten(0, (self.transposed, -1))  # (groups, in / groups, out / groups, ...)
            own = factor.view(self.transposed, 1, -1, *[1] * (self.weight.dim() - 2))
            weight = (grouped * own).flatten(0, 1)
        else:
            weight = self.weight * factor.view(-1, *[1] * (self.weight.dim() - 1))
        return replace(self, weight=weight, bias=shift if self.bias is None else self.bias * factor + shift)
