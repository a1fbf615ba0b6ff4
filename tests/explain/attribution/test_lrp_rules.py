"""Convolutions as products of matrices, and rules that take a layer's place."""

import pytest
import torch
from torch import nn

from auscult.explain.attribution.lrp_rules import AlphaBeta, Epsilon, Pass, as_layer, as_product, has_few_inputs

CONVOLUTIONS = [
    (nn.Conv1d(1, 6, 3, padding=1), (1, 20)),
    (nn.Conv1d(2, 6, 4, stride=3, dilation=2), (2, 33)),
    (nn.Conv2d(1, 9, 3, padding=1), (1, 7, 9)),
    (nn.Conv2d(1, 12, (5, 4), stride=(2, 3), padding=(2, 0), bias=False), (1, 17, 14)),
    (nn.Conv2d(2, 12, 2, dilation=(1, 3)), (2, 6, 8)),
]


@pytest.mark.parametrize("layer, shape", CONVOLUTIONS)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("zero_params", [["bias"], None])
def test_a_product_is_the_layer(layer, shape, signed, zero_params):
    layer, input = layer.double(), torch.randn(3, *shape, dtype=torch.float64)
    inputs = [input.clamp(min=0), input.clamp(max=0)] if signed else [input.abs()]
    assert has_few_inputs(layer)
    for weights in AlphaBeta(2, 1, zero_params).weights.values():
        (one, one_gradient), (other, other_gradient) = (
            way(inputs, weights, layer, layer.forward) for way in (as_layer, as_product)
        )
        torch.testing.assert_close(other, one)
        gradient = torch.randn_like(one)
        torch.testing.assert_close(list(other_gradient(gradient)), list(one_gradient(gradient)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 4, 3, groups=4), nn.Conv1d(1, 4, 3, padding="same"), nn.Conv1d(1, 9, 3, padding_mode="circular"),
        nn.Conv1d(64, 64, 3), nn.ConvTranspose1d(1, 4, 3), nn.Linear(2, 4),
    ],
)  # fmt: skip
def test_other_layers_stay_layers(layer):
    assert not has_few_inputs(layer)


def test_z_plus_by_hand():
    """Two inputs, of which one is negative: `w * x` of 2, -3 and, for the second output, -4, 6."""
    layer = nn.Conv1d(2, 2, 1)
    layer.weight.data = torch.tensor([[[1.0], [3.0]], [[-2.0], [-6.0]]])
    input, relevance = torch.tensor([[[2.0], [-1.0]]]), torch.tensor([[[10.0], [5.0]]])
    found, _ = AlphaBeta(1, 0, ["bias"]).propagate(input, relevance, layer, layer.forward)
    torch.testing.assert_close(found, torch.tensor([[[10.0], [5.0]]]))  # each output has one positive contribution
    both, of_bias = AlphaBeta(2, 1, ["bias"]).propagate(input, relevance, layer, layer.forward)
    torch.testing.assert_close(both, torch.tensor([[[2 * 10.0 - 5], [2 * 5.0 - 10]]]))
    assert of_bias is None


def test_what_biases_get_by_hand():
    """Contributions 2 and 3 to the one output, -4 and 6 to the other, with biases of 5 and -2."""
    layer = nn.Linear(2, 2)
    layer.weight.data, layer.bias.data = torch.tensor([[1.0, -3.0], [-2.0, -6.0]]), torch.tensor([5.0, -2.0])
    input, relevance = torch.tensor([[2.0, -1.0]]), torch.tensor([[10.0, 6.0]])
    found, of_bias = Epsilon(1e-6, None).propagate(input, relevance, layer, layer.forward)
    # 10 by tenths: 2 and 3 to the inputs, 5 to the bias; 6 over -4 + 6 - 2 = 0, where only epsilon is left
    torch.testing.assert_close(found, torch.tensor([[2 - 4 * 6e6, 3 + 6 * 6e6]]))
    torch.testing.assert_close(of_bias, torch.tensor([5 - 2 * 6e6]))
    found, of_bias = AlphaBeta(1, 0, None).propagate(input, relevance, layer, layer.forward)
    torch.testing.assert_close(found, torch.tensor([[2.0, 3 + 6.0]]))  # the second bias is negative
    torch.testing.assert_close(of_bias, torch.tensor([5.0]))
    found, of_bias = AlphaBeta(2, 1, None).propagate(input, relevance, layer, layer.forward)
    torch.testing.assert_close(found, torch.tensor([[2 * 2 - 6 * 4 / 6, 2 * (3 + 6.0)]]))
    torch.testing.assert_close(of_bias, torch.tensor([2 * 5 - 6 * 2 / 6]))


def test_an_in_place_activation_leaves_its_input_alone():
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(inplace=True))
    handles = Pass().register(network[1])
    input = torch.randn(1, 1, 9).requires_grad_()
    hidden = network[0](input)
    before = hidden.detach().clone()
    network[1](hidden).sum().backward()
    assert torch.equal(hidden, before) and input.grad is not None
    handles.remove()
    assert "forward" not in network[1].__dict__
