"""Convolutions as products of matrices, and rules of layers by hand."""

import pytest
import torch
from torch import nn

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.layer import Layer
from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.operations import Operations
from auscult.explain.lrp.product import as_product, has_few_inputs
from auscult.explain.lrp.rules import AlphaBeta, Epsilon, Rule, as_layer, of_sign

CONVOLUTIONS = [
    (nn.Conv1d(1, 6, 3, padding=1), (1, 20)),
    (nn.Conv1d(2, 6, 4, stride=3, dilation=2), (2, 33)),
    (nn.Conv2d(1, 9, 3, padding=1), (1, 7, 9)),
    (nn.Conv2d(1, 12, (5, 4), stride=(2, 3), padding=(2, 0), bias=False), (1, 17, 14)),
    (nn.Conv2d(2, 12, 2, dilation=(1, 3)), (2, 6, 8)),
]


def layer_of(module: nn.Module, input: torch.Tensor) -> Layer:
    """The layer that a module runs as."""
    seen: list[Layer] = []

    class Seen(Epsilon):
        def shares(self, layer, *others):
            seen.append(layer)
            return super().shares(layer, *others)

    rule = Seen(1e-6, True)
    module.requires_grad_(False)
    leaf = input.clone().requires_grad_()
    note_of(leaf)
    with Operations(Composite(rule, rule), input.new_zeros(2, len(input)).requires_grad_()):
        output = module(leaf)
    output.sum().backward()
    return seen[0]


def shares(rule: Rule, module: nn.Module, input: torch.Tensor, relevance: torch.Tensor):
    layer = layer_of(module, input)
    leaf = input.clone().requires_grad_(rule.needs_graph)
    return rule.shares(layer, leaf, layer(leaf), relevance)


@pytest.mark.parametrize("module, shape", CONVOLUTIONS)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("uses_bias", [True, False])
def test_a_product_is_the_layer(module, shape, signed, uses_bias):
    module, input = module.double(), torch.randn(3, *shape, dtype=torch.float64)
    inputs = [input.clamp(min=0), input.clamp(max=0)] if signed else [input.abs()]
    layer = layer_of(module, input)
    assert has_few_inputs(layer)
    for sign in (1, -1):
        weights = [of_sign(layer.weight, sign), of_sign(layer.weight, -sign)][: len(inputs)]
        bias = layer.bias if uses_bias else None
        one, one_gradient = as_layer(layer, inputs, weights, bias)
        gradient = torch.randn_like(one)
        expected = list(one_gradient(gradient))
        for channels_last in (False, True):
            other, other_gradient = as_product(layer, inputs, weights, bias, channels_last)
            assert (other.stride(1) == 1) is channels_last
            torch.testing.assert_close(other, one)
            torch.testing.assert_close(list(other_gradient(gradient)), expected)


@pytest.mark.parametrize(
    "module, shape",
    [
        (nn.Conv1d(4, 4, 3, groups=4), (4, 9)), (nn.Conv1d(1, 4, 3, padding="same"), (1, 9)),
        (nn.Conv1d(64, 64, 3), (64, 5)), (nn.ConvTranspose1d(1, 4, 3), (1, 5)), (nn.Linear(2, 4), (2,)),
    ],
)  # fmt: skip
def test_other_layers_stay_layers(module, shape):
    assert not has_few_inputs(layer_of(module, torch.randn(1, *shape)))


def test_z_plus_by_hand():
    """Two inputs, of which one is negative: `w * x` of 2, -3 and, for the second output, -4, 6."""
    module = nn.Conv1d(2, 2, 1)
    module.weight.data = torch.tensor([[[1.0], [3.0]], [[-2.0], [-6.0]]])
    input, relevance = torch.tensor([[[2.0], [-1.0]]]), torch.tensor([[[10.0], [5.0]]])
    found, _, lost = shares(AlphaBeta(1, 0, False), module, input, relevance)
    torch.testing.assert_close(found, torch.tensor([[[10.0], [5.0]]]))  # each output has one positive contribution
    both, of_bias, _ = shares(AlphaBeta(2, 1, False), module, input, relevance)
    torch.testing.assert_close(both, torch.tensor([[[2 * 10.0 - 5], [2 * 5.0 - 10]]]))
    assert of_bias is None and lost is None


def test_what_biases_get_by_hand():
    """Contributions 2 and 3 to the one output, -4 and 6 to the other, with biases of 5 and -2."""
    module = nn.Linear(2, 2)
    module.weight.data, module.bias.data = torch.tensor([[1.0, -3.0], [-2.0, -6.0]]), torch.tensor([5.0, -2.0])
    input, relevance = torch.tensor([[2.0, -1.0]]), torch.tensor([[10.0, 6.0]])
    found, of_bias, lost = shares(Epsilon(1e-6, True), module, input, relevance)
    # 10 by tenths: 2 and 3 to the inputs, 5 to the bias; 6 over -4 + 6 - 2 = 0, where only epsilon is left
    torch.testing.assert_close(found, torch.tensor([[2 - 4 * 6e6, 3 + 6 * 6e6]]))
    torch.testing.assert_close(of_bias, torch.tensor([5 - 2 * 6e6]))
    torch.testing.assert_close(lost, torch.tensor([[0.0, 6.0]]))
    found, of_bias, lost = shares(AlphaBeta(1, 0, True), module, input, relevance)
    torch.testing.assert_close(found, torch.tensor([[2.0, 3 + 6.0]]))  # the second bias is negative
    torch.testing.assert_close(of_bias, torch.tensor([5.0]))
    assert lost is None
    found, of_bias, lost = shares(AlphaBeta(2, 1, True), module, input, relevance)
    torch.testing.assert_close(found, torch.tensor([[2 * 2 - 6 * 4 / 6, 2 * (3 + 6.0)]]))
    torch.testing.assert_close(of_bias, torch.tensor([2 * 5 - 6 * 2 / 6]))
    torch.testing.assert_close(lost, torch.tensor([[-10.0, 0.0]]))  # the first output has no negative contribution
