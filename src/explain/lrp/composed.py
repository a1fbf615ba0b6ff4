"""Functions of PyTorch that are written in terms of others here, since these have rules."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def add_product(input: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """`torch.addcmul`."""
    return input + one * other * value


def add_quotient(input: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """`torch.addcdiv`."""
    return input + one / other * value


def between(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`torch.lerp`."""
    return input * (1 - weight) + end * weight


def differences(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """`torch.diff`."""
    parts = [part for part in (prepend, input, append) if part is not None]
    values = torch.cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        length = values.shape[dim] - 1
        values = values.narrow(dim, 1, length) - values.narrow(dim, 0, length)
    return values


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`torch.index_fill`."""
    mask = torch.zeros(input.shape, dtype=torch.bool, device=input.device).index_fill(dim, index, True)
    return input.masked_fill(mask, value)


def broadcast(*tensors: Any) -> list[Tensor]:
    """`torch.broadcast_tensors`."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in given))
    return [tensor.expand(shape) for tensor in given]


def stack_along(dimension: int, most: Callable[..., Any]) -> Callable[..., Tensor]:
    """`torch.hstack` and the like: concatenation along a dimension, of tensors with as many dimensions as it needs."""

    def stacked(tensors: Any) -> Tensor:
        each = [most(tensor) for tensor in tensors]
        return torch.cat(each, 0 if each[0].dim() == 1 else dimension)

    return stacked


def column_stack(tensors: Any) -> Tensor:
    """`torch.column_stack`."""
    return torch.cat([tensor.reshape(-1, 1) if tensor.dim() < 2 else tensor for tensor in tensors], 1)


def with_mean(function: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """`torch.var_mean` and `torch.std_mean`."""

    def both(
        input: Tensor, dim: Any = None, *args: Any, keepdim: bool = False, **options: Any
    ) -> tuple[Tensor, Tensor]:
        if isinstance(dim, bool):  # of all values; the second argument is `unbiased`
            return function(input, dim), input.mean()
        if len(args) > 1:
            keepdim = args[1]
        mean = input.mean() if dim is None else input.mean(dim, keepdim=keepdim)
        return function(input, dim, *args[:1], keepdim=keepdim, **options), mean

    return both


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """`torch.cosine_similarity`."""
    return (x1 * x2).sum(dim) / (x1.norm(dim=dim).clamp(min=eps) * x2.norm(dim=dim).clamp(min=eps))


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """`torch.pairwise_distance`."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, *_: Any, **__: Any) -> Tensor:
    """`torch.cdist`."""
    return (x1[..., :, None, :] - x2[..., None, :, :]).norm(p, -1)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """`torch.outer`."""
    return input[:, None] * vec2


def inner(input: Tensor, other: Tensor) -> Tensor:
    """`torch.inner`."""
    return torch.tensordot(input, other, dims=([-1], [-1])) if input.dim() and other.dim() else input * other


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.bilinear`."""
    output = torch.einsum("...i,oij,...j->...o", input1, weight, input2)
    return output if bias is None else output + bias


def gru_cell(
    input: Tensor, state: Tensor, own: Tensor, of_state: Tensor, bias: Any = None, state_bias: Any = None
) -> Tensor:
    """`torch.gru_cell`: `h' = (1 - z) * n + z * h`, with the gates as constants, as in `recurrent.GRU`."""
    ours, theirs = linear(input, own, bias).chunk(3, -1), linear(state, of_state, state_bias).chunk(3, -1)
    reset, update = ((ours[gate] + theirs[gate]).detach().sigmoid() for gate in (0, 1))
    return (1 - update) * (ours[2] + reset * theirs[2]).tanh() + update * state


def lstm_cell(
    input: Tensor, states: Any, own: Tensor, of_state: Tensor, bias: Any = None, state_bias: Any = None
) -> tuple[Tensor, Tensor]:
    """`torch.lstm_cell`: `c' = f * c + i * g`, `h' = o * tanh(c')`, with the gates as constants."""
    state, cell = states
    enter, forget, candidate, leave = (linear(input, own, bias) + linear(state, of_state, state_bias)).chunk(4, -1)
    enter, forget, leave = (gate.detach().sigmoid() for gate in (enter, forget, leave))
    cell = forget * cell + enter * candidate.tanh()
    return leave * cell.tanh(), cell


def rnn_cell(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """`torch.rnn_tanh_cell` and `torch.rnn_relu_cell`."""

    def cell(
        input: Tensor, state: Tensor, own: Tensor, of_state: Tensor, bias: Any = None, state_bias: Any = None
    ) -> Tensor:
        return activation(linear(input, own, bias) + linear(state, of_state, state_bias))

    return cell


COMPOSED: dict[str, Callable[..., Any]] = {
    "addcmul": add_product, "addcdiv": add_quotient, "lerp": between,
    "hstack": stack_along(1, torch.atleast_1d), "vstack": stack_along(0, torch.atleast_2d),
    "dstack": stack_along(2, torch.atleast_3d), "row_stack": stack_along(0, torch.atleast_2d),
    "column_stack": column_stack,
    "var_mean": with_mean(torch.var), "std_mean": with_mean(torch.std),
    "cosine_similarity": cosine_similarity, "pairwise_distance": pairwise_distance, "cdist": cdist,
    "mv": torch.matmul, "dot": torch.matmul, "outer": outer, "ger": outer, "inner": inner, "bilinear": bilinear,
    "diff": differences, "index_fill": index_fill, "broadcast_tensors": broadcast,
    "linalg_vecdot": lambda x, y, dim=-1: (x * y).sum(dim),
    "addmv": lambda input, matrix, vector, beta=1, alpha=1: input * beta + (matrix @ vector) * alpha,
    "linalg_multi_dot": lambda tensors: functools.reduce(torch.matmul, tensors),
    "chain_matmul": lambda *matrices: functools.reduce(torch.matmul, matrices),
    "gru_cell": gru_cell, "lstm_cell": lstm_cell, "rnn_tanh_cell": rnn_cell(torch.tanh),
    "rnn_relu_cell": rnn_cell(torch.relu),
}  # fmt: skip
