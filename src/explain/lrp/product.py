"""Convolutions of few inputs as products of matrices."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import fold, unfold

from auscult.explain.lrp.layer import Layer

MOST_CHANNELS = 4


def has_few_inputs(layer: Layer) -> bool:
    """Whether a convolution has so few input channels that a product of matrices beats its gradient.

    First layers have few: for one channel, PyTorch's gradient takes longer than the rest of AlexNet's forward pass.
    """
    channels, size = layer.weight.shape[1], layer.weight[0].numel()
    return layer.options is not None and channels <= MOST_CHANNELS and size <= 3 * len(layer.weight)


def as_product(
    layer: Layer, inputs: list[Tensor], weights: list[Tensor], bias: Tensor | None, channels_last: bool
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Does the same as `rules.as_layer` for a convolution, by one product of matrices for all inputs.

    Args:
        layer, inputs, weights, bias: as of `rules.as_layer`.
        channels_last: the sum's channels lie beside each other in memory, as those of what it will be combined with.
    """
    assert layer.options is not None  # has_few_inputs
    flat = inputs[0].dim() == 3  # unfold needs two dimensions
    size = (1, *inputs[0].shape[2:]) if flat else tuple(inputs[0].shape[2:])
    options = {"kernel_size": tuple(layer.weight.shape[2:]), **layer.options}
    how = {name: (int(name != "padding"),) * flat + options[name] for name in options}
    matrix = torch.cat([weight.flatten(1) for weight in weights], 1)  # (out, n * K)
    columns = torch.cat([unfold(input.view(*input.shape[:2], *size), **how) for input in inputs], 1)  # (B, n * K, L)
    output = (columns.mT @ matrix.T).mT if channels_last else matrix @ columns  # (B, out, L)
    if bias is not None:
        output += bias[:, None]
    sizes = [
        (each + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for each, kernel, dilation, pad, stride in zip(
            size, how["kernel_size"], how["dilation"], how["padding"], how["stride"], strict=True
        )
    ]

    def gradients_for(gradient: Tensor) -> list[Tensor]:
        parts = (matrix.T @ gradient.flatten(2)).chunk(len(inputs), 1)
        return [fold(part, size, **how).view_as(inputs[0]) for part in parts]

    return output.unflatten(2, sizes[1:] if flat else sizes), gradients_for
