"""Rules of operations with weights: convolutions, dense layers, and what follows them in evaluation."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.elementwise import add, multiply
from auscult.explain.lrp.layer import Layer
from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.propagation import OfLayer, OfScaledLayer, Pass, Proportional
from auscult.explain.lrp.watch import NoRule, Watch, depends


def ruled(watch: Watch, layer: Layer, input: Tensor) -> Tensor:
    """Runs a layer with the rule that the composite has for it."""
    layers = note_of(input).layers
    step = OfLayer(layer, watch.composite.rule_of(layer, layers))
    return noted(watch, step, input, layers + (layer.kind != "affine"))


def noted(watch: Watch, step: OfLayer, input: Tensor, layers: int) -> Tensor:
    """Runs the step of a layer, and notes how its output was made."""
    output = watch.step(step, input)
    note = note_of(output)
    note.layers, note.made_by = layers, (step, input)
    return output


def convolution(name: str) -> Any:
    """The rule of a convolution of this name; its weights must not depend on the input."""
    function, dimensions = getattr(torch, name), int(name[-2])
    transposed = "transpose" in name

    def rule(
        watch: Watch, input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        if depends(weight) or depends(bias):
            raise NoRule(f"applies {name} with computed weights")
        options = dict(zip(ORDERS[transposed], args, strict=False)) | kwargs

        def operation(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return function(input, weight, bias, **options)

        groups = options.get("groups", 1)
        as_product = None
        plain = not transposed and groups == 1 and not isinstance(options.get("padding", 0), str)
        if plain and dimensions < 3 and input.dim() == dimensions + 2:
            as_product = {
                option: several(options.get(option, int(option != "padding")), dimensions)
                for option in ("dilation", "padding", "stride")
            }
        layer = Layer("convolution", operation, weight, bias, -dimensions - 1, groups * transposed, as_product)
        return ruled(watch, layer, input)

    return rule


ORDERS = {
    False: ("stride", "padding", "dilation", "groups"),
    True: ("stride", "padding", "output_padding", "groups", "dilation"),
}


def several(option: Any, dimensions: int) -> tuple[int, ...]:
    """One number for each dimension."""
    numbers = (option,) if isinstance(option, int) else tuple(option)
    return numbers * dimensions if len(numbers) == 1 else numbers


def dense(watch: Watch, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The rule of a dense layer; its weights must not depend on the input."""
    if depends(weight) or depends(bias):
        raise NoRule("applies linear with computed weights")
    layer = Layer("dense", torch.nn.functional.linear, weight, bias, -1)
    if bias is not None and bias.dim() != 1:
        raise NoRule("applies linear with a bias of several dimensions")
    return ruled(watch, layer, input)


def product(watch: Watch, one: Tensor, other: Tensor) -> Tensor:
    """A product of matrices: a dense layer if one of them is constant, else each gets its share (or the signal all).

    See `Proportional` for the shares of two factors. A gate, such as attention's weights, gets nothing.
    """
    if depends(one) and depends(other):
        gates = note_of(one).is_gate, note_of(other).is_gate
        if gates[0] == gates[1] or watch.composite.attention == "taylor":
            return watch.step(Proportional(torch.matmul, 2), one, other)
        if gates[0]:
            weights = one.detach()
            return watch.step(Proportional(lambda other: weights @ other), other)
        weights = other.detach()
        return watch.step(Proportional(lambda one: one @ weights), one)
    if depends(one) and other.dim() == 2:
        return dense(watch, one, other.T)
    if depends(one):
        return as_layer(watch.step(Proportional(lambda one: one @ other), one), one)
    return as_layer(watch.step(Proportional(lambda other: one @ other), other), other)


def as_layer(output: Tensor, input: Tensor) -> Tensor:
    """Notes that a product with constants is a layer, though its weights have no rule but epsilon."""
    note_of(output).layers = note_of(input).layers + 1
    return output


def added_product(
    watch: Watch, summand: Tensor, one: Tensor, other: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """A dense layer that is written as `addmm`, or a mask or bias that is added to a product, as `baddbmm` does."""
    if beta != 1 or alpha != 1 or depends(summand):
        return add(watch, multiply(watch, summand, beta), multiply(watch, product(watch, one, other), alpha))
    if one.dim() == 2 and summand.dim() == 1 and not depends(other):
        return dense(watch, one, other.T, summand)
    return watch.step(Pass(lambda scores: scores + summand), product(watch, one, other))


def einsum(watch: Watch, equation: Any, *operands: Any, **_: Any) -> Tensor:
    """Einstein's sum, see `shared_product`."""
    tensors = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else list(operands)
    return shared_product(watch, partial(torch.einsum, equation), tensors)


def contraction(watch: Watch, function: Any, one: Tensor, other: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`torch.tensordot`, see `shared_product`."""
    return shared_product(watch, lambda *tensors: function(*tensors, *args, **kwargs), [one, other])


def shared_product(watch: Watch, function: Any, tensors: list[Tensor]) -> Tensor:
    """What is linear in each of several tensors: they share equally, and constants get nothing. See `product`."""
    places = [number for number, tensor in enumerate(tensors) if depends(tensor)]
    signals = [number for number in places if not note_of(tensors[number]).is_gate]
    if watch.composite.attention == "given" and signals:
        places = signals
    fixed = [tensor.detach() for tensor in tensors]

    def of_inputs(*inputs: Tensor) -> Tensor:
        own = list(fixed)
        for number, input in zip(places, inputs, strict=True):
            own[number] = input
        output: Tensor = function(*own)
        return output

    output = watch.step(Proportional(of_inputs, len(places)), *(tensors[number] for number in places))
    return as_layer(output, tensors[places[0]]) if len(tensors) > len(places) else output


def batch_norm(
    watch: Watch, input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    eps: float, *_: Any,
) -> Tensor:  # fmt: skip
    """In evaluation: part of the layer that made its input; behind something else, one weight and bias per channel.

    `factor * x + shift`. Folded into a layer, it changes the layer's weights and bias, and the layer's rule is for
    these. It is not folded across a ReLU (Conv - ReLU - BatchNorm), where that would be another network.
    """
    if training or mean is None:
        raise NoRule("applies batch_norm with the statistics of the batch, which mix its clips")
    factor = (variance + eps).rsqrt() * (1 if weight is None else weight)
    shift = -mean * factor + (0 if bias is None else bias)
    made_by = note_of(input).made_by
    axis = 1 - input.dim()
    if made_by is not None and made_by[0].layer.axis == axis:
        before, source = made_by
        return noted(watch, OfScaledLayer(before, input, factor, shift), source, note_of(input).layers)
    return ruled(watch, Layer("affine", per_channel(axis), factor, shift, axis), input)


def per_channel(axis: int) -> Any:
    """The operation of a layer with one weight and one bias per channel, which lie in the dimension `axis`."""

    def operation(axis: int, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        shape = (-1, *[1] * (-axis - 1))
        return input * weight.view(shape) if bias is None else input * weight.view(shape) + bias.view(shape)

    return partial(operation, axis)
