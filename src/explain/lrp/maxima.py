"""Rules of maxima: the winner takes all, and equal winners share.

Equal values are not rare: in digital silence, all outputs of a convolution are its bias. PyTorch's own gradients of max
pools give all to the first of them, and so move relevance to the start of each window.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.layers import several
from auscult.explain.lrp.pools import larger, smaller
from auscult.explain.lrp.propagation import Function, Shares, Step
from auscult.explain.lrp.watch import Watch

Options = Sequence[tuple[int, int, int, int]]  # kernel size, stride, padding and dilation, for each dimension


class Maximum(Step):
    """`R_i = R * [x_i = max] / (how many values equal the maximum)`, along dimensions.

    Args:
        function: `torch.amax` or `torch.amin` of one tensor, whose gradient equal values share.
    """

    def __init__(self, function: Function) -> None:
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return self.function(*inputs)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        leaf = inputs[0].detach().requires_grad_()
        with torch.enable_grad():
            maxima = self.function(leaf)
        return torch.autograd.grad(maxima, leaf, relevance), None, None


class MaxPool(Step):
    """As `Maximum`, in each window: the first values of all windows at once, then the second, and so on.

    Args:
        sizes: of the output's last dimensions.
        options: see `Options`.
    """

    def __init__(self, sizes: Sequence[int], options: Options) -> None:
        self.sizes, self.options = sizes, options

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        (input,) = inputs
        output = like(input, (*input.shape[: -len(self.sizes)], *self.sizes)).fill_(-torch.inf)
        for ours, theirs in self.places(input):
            torch.maximum(output[ours], input[theirs], out=output[ours])
        return output

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Shares:
        """See `Step.shares`."""
        (input,) = inputs
        places, winners, count = list(self.places(input)), [], torch.zeros_like(output)
        for ours, theirs in places:
            winner = torch.empty_like(output[ours])
            winners.append(torch.eq(output[ours], input[theirs], out=winner))  # faster as numbers than as booleans
            count[ours].add_(winner)
        quotient, found = relevance / count, torch.zeros_like(input)
        for (ours, theirs), winner in zip(places, winners, strict=True):
            found[theirs].addcmul_(winner, quotient[ours])
        return [found], None, None

    def places(self, input: Tensor) -> Iterator[tuple[Any, Any]]:
        """Yields, for each value of a window, the outputs that have it in their windows, and where it is for each."""
        dimensions = []
        for size, count, (kernel, stride, padding, dilation) in zip(
            input.shape[-len(self.sizes) :], self.sizes, self.options, strict=True
        ):
            pairs = []
            for offset in range(-padding, dilation * kernel - padding, dilation):
                low, high = max(0, -(offset // stride)), min(count, (size - 1 - offset) // stride + 1)
                theirs = slice(low * stride + offset, (high - 1) * stride + offset + 1, stride)
                pairs += [(slice(low, high), theirs)] * (low < high)
            dimensions.append(pairs)
        for place in itertools.product(*dimensions):
            ours, theirs = zip(*place, strict=True)
            yield (..., *ours), (..., *theirs)


def like(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """An empty tensor of another shape, whose dimensions lie in memory in the order of the given tensor's."""
    order = sorted(range(tensor.dim()), key=tensor.stride().__getitem__, reverse=True)
    empty = tensor.new_empty([shape[dimension] for dimension in order])
    return empty.permute(*sorted(range(tensor.dim()), key=order.__getitem__))


def max_pool(dimensions: int) -> Callable[..., Any]:
    """The rule of max pools over so many dimensions, with and without the winners' places."""

    def rule(
        watch: Watch, function: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
        dilation: Any = 1, ceil_mode: bool = False, **asked: Any,
    ) -> Any:  # fmt: skip
        options = [several(option, dimensions) for option in (kernel_size, stride or kernel_size, padding, dilation)]

        def pool(input: Tensor) -> Any:
            return function(input, *options, ceil_mode=ceil_mode, **asked)

        return pooled(watch, pool, input, list(zip(*options, strict=True)))

    return rule


def adaptive_max_pool(dimensions: int) -> Callable[..., Any]:
    """The rule of max pools whose output's size is given. In windows of unequal sizes the first winner takes all."""

    def rule(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        def pool(input: Tensor) -> Any:
            return function(input, *args, **kwargs)

        sizes, _ = result_of(pool, input)
        pairs = list(zip(input.shape[-dimensions:], sizes[-dimensions:], strict=True))
        if any(size % own for size, own in pairs):
            return pool(input)
        return pooled(watch, pool, input, [(size // own, size // own, 0, 1) for size, own in pairs])

    return rule


def pooled(watch: Watch, pool: Any, input: Tensor, options: Options) -> Any:
    """A max pool with its rule.

    Args:
        watch, input: as of all rules.
        pool: PyTorch's, of one tensor.
        options: see `Options`.
    """
    shape, gives_places = result_of(pool, input)
    inner, sizes = input.shape[-len(options) :], shape[-len(options) :]
    if all(
        own == (size, *own[1:2], 0, 1) and count == 1 for own, size, count in zip(options, inner, sizes, strict=True)
    ):
        last = tuple(range(-len(options), 0))
        output = watch.step(Maximum(lambda input: input.amax(last, keepdim=True)), input)
    else:
        output = watch.step(MaxPool(sizes, options), input)
    return (output, pool(input.detach())[1]) if gives_places else output


def result_of(pool: Any, input: Tensor) -> tuple[torch.Size, bool]:
    """The shape of a max pool's output, and whether it gives places, too."""
    result = pool(torch.empty_like(input, device="meta"))
    return (result.shape, False) if isinstance(result, Tensor) else (result[0].shape, True)


def largest(
    watch: Watch, function: Any, input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None
) -> Any:
    """`torch.max` and `torch.min`: of all values, along a dimension with the winners' places, or of two tensors."""
    is_max = function.__name__ == "max"
    other = dim if isinstance(dim, Tensor) else other
    if other is not None:
        return (larger if is_max else smaller)(watch, input, other)
    if dim is None:
        return function(input)  # equal values share its gradient
    maxima = torch.amax if is_max else torch.amin
    output = watch.step(Maximum(lambda input: maxima(input, dim, keepdim)), input)
    given = function(input.detach(), dim, keepdim)
    return type(given)((output, given[1]))
