"""LRP against slow matrices in float64, against zennit by hand, and the networks it refuses."""

import itertools
import math
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zennit import composites
from zennit.attribution import Gradient as ZennitGradient

from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.attribution.lrp import LRP
from auscult.mistake import Mistake
from auscult.modules.classifier import lay_channels_last
from auscult.modules.networks.alexnet import AlexNet
from auscult.modules.networks.audionet import AudioNet

TARGET = torch.tensor([2, 0])
EPSILON = 1e-6
RULES = {  # of the first layer where it has one of its own, and of convolutions; other dense layers take epsilon
    "epsilon": (None, "epsilon"),
    "epsilon_plus": (None, "plus"),
    "epsilon_plus_flat": ("flat", "plus"),
    "alpha2_beta1": (None, "alpha2_beta1"),
    "alpha2_beta1_flat": ("flat", "alpha2_beta1"),
    "box": ("box", "plus"),
}

# ---- the rules as sums over the matrix of a layer, z_ji = w_ji x_i, written down from the papers


def dense_matrix(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of a layer for inputs (C, ...) as a matrix (outputs, inputs)."""
    if isinstance(layer, nn.Linear):
        return layer.weight.detach().numpy()
    weight = layer.weight.detach().numpy()  # (out, in / groups, K, ...)
    sizes, taps = shape[1:], weight.shape[2:]
    outputs = [
        (size + 2 * padding - dilation * (tap - 1) - 1) // stride + 1
        for size, tap, padding, stride, dilation in zip(
            sizes, taps, layer.padding, layer.stride, layer.dilation, strict=True
        )
    ]
    matrix = np.zeros((len(weight), *outputs, *shape))
    for out, place in itertools.product(range(len(weight)), itertools.product(*map(range, outputs))):
        group = out // (len(weight) // layer.groups)
        for channel, tap in itertools.product(range(weight.shape[1]), itertools.product(*map(range, taps))):
            at = [
                p * stride - padding + t * dilation
                for p, t, stride, padding, dilation in zip(
                    place, tap, layer.stride, layer.padding, layer.dilation, strict=True
                )
            ]
            if all(0 <= a < size for a, size in zip(at, sizes, strict=True)):
                matrix[(out, *place, group * weight.shape[1] + channel, *at)] = weight[(out, channel, *tap)]
    return matrix.reshape(math.prod((len(weight), *outputs)), -1)


def dense_bias(layer: nn.Module, outputs: int) -> np.ndarray:
    return np.repeat(layer.bias.detach().numpy(), outputs // len(layer.bias))


def share(parts: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """What inputs get if each output hands its relevance to its parts (outputs, inputs) in proportion."""
    total = parts.sum(1)
    return (parts * (relevance / (total + EPSILON * np.where(total >= 0, 1, -1)))[:, None]).sum(0)


def rule(name: str, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """What the inputs get, and, last, the bias: it is one more input, which is always 1."""
    parts = np.column_stack([weight * x, bias])
    if name == "epsilon":
        return share(parts, relevance)
    if name == "plus":
        return share(parts.clip(min=0), relevance)
    if name == "alpha2_beta1":
        return 2 * share(parts.clip(min=0), relevance) - share(parts.clip(max=0), relevance)
    parts = weight * x
    if name == "flat":
        return np.append(share((weight != 0).astype(float), relevance), 0)
    low, high = x.min(), x.max()
    if low < 0 < high:
        low, high = -max(-low, high), max(-low, high)
    return np.append(share(parts - weight.clip(min=0) * low - weight.clip(max=0) * high, relevance), 0)


def winner(layer: nn.Module, x: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Max-pooling: each output's relevance goes to its largest input."""
    dimensions = x.ndim - 1
    relevance = relevance.reshape(len(x), *[(size - layer.kernel_size) // layer.stride + 1 for size in x.shape[1:]])
    result = np.zeros_like(x)
    for place in np.ndindex(relevance.shape):
        starts = [p * layer.stride for p in place[1:]]
        window = x[(place[0], *(slice(start, start + layer.kernel_size) for start in starts))]
        best = np.unravel_index(window.argmax(), window.shape)
        result[(place[0], *(starts[d] + best[d] for d in range(dimensions)))] += relevance[place]
    return result.ravel()


def slow_lrp(
    network: nn.Sequential, composite: str, clip: Tensor, target: int, zero_bias: bool
) -> tuple[np.ndarray, float]:
    """Relevance of one clip (C, ...), layer by layer, and of all biases."""
    inputs, output = [], clip[None]
    for layer in network:
        inputs.append(output[0].detach().numpy())
        output = layer(output)
    relevance, biases = np.where(np.arange(output.shape[1]) == target, output[0].detach().numpy(), 0), 0.0
    first, convolution = RULES[composite]
    for number, (layer, x) in reversed(list(enumerate(zip(network, inputs, strict=True)))):
        if isinstance(layer, nn.MaxPool1d | nn.MaxPool2d):
            relevance = winner(layer, x, relevance)
        elif isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            weight, bias = dense_matrix(layer, x.shape), dense_bias(layer, len(relevance))
            assert np.allclose(weight @ x.ravel() + bias, layer(torch.tensor(x)[None]).detach().numpy().ravel())
            name = first if first and number == 0 else "epsilon" if isinstance(layer, nn.Linear) else convolution
            *of_inputs, of_bias = rule(name, weight, bias * (not zero_bias), x.ravel(), relevance)
            relevance, biases = np.array(of_inputs), biases + of_bias
    return relevance.reshape(clip.shape), biases


def conv1d() -> nn.Sequential:
    layers = [
        nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool1d(3, 2),
        nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(30, 7), nn.ReLU(), nn.Linear(7, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers)


def conv2d() -> nn.Sequential:
    layers = [
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 0)), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2),
        nn.Conv2d(4, 4, 2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(80, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers)


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(46, 9), nn.ReLU(), nn.Linear(9, 3))


SHAPES = {conv1d: (2, 23), conv2d: (2, 6, 16), dense: (2, 23)}


def built(make, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    network = make().double()
    for layer in network:
        if not bias and hasattr(layer, "bias"):
            nn.init.zeros_(layer.bias)
    return network


def clips(shape: tuple[int, ...], count: int = 2) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def logits(network: nn.Module, input: Tensor, target: Tensor = TARGET) -> Tensor:
    return network.eval()(input).gather(1, target[:, None])[:, 0].detach()


@pytest.mark.parametrize("zero_bias", [True, False])
@pytest.mark.parametrize("make", SHAPES)
@pytest.mark.parametrize("composite", RULES)
def test_relevance_is_that_of_slow_matrices(composite, make, zero_bias):
    network, input = built(make).eval(), clips(SHAPES[make])
    number = int(isinstance(network[0], nn.Flatten))  # the slow version's first layer is its first entry
    expected = [
        slow_lrp(network[number:], composite, clip.flatten() if number else clip, int(target), zero_bias)
        for clip, target in zip(input, TARGET, strict=True)
    ]
    attribution = LRP(composite, zero_bias)
    relevance = attribution(network, input, TARGET)
    slow, biases = zip(*expected, strict=True)
    assert np.allclose(relevance.flatten(1), np.stack(slow).reshape(2, -1), rtol=1e-9, atol=1e-12)
    assert np.allclose(attribution.biases, biases, rtol=1e-9, atol=1e-12) and any(biases) == (not zero_bias)


@pytest.mark.parametrize("low, high", [(-4.0, 5.0), (None, 5.0)])
def test_box_bounds_can_be_given(low, high):
    layer, input = nn.Linear(5, 3).double(), clips((5,))
    relevance = LRP("box", low=low, high=high)(nn.Sequential(layer), input, TARGET)
    for clip, target, result in zip(input.numpy(), TARGET, relevance, strict=True):
        weight = layer.weight.detach().numpy()[target]
        lowest = -abs(clip).max() if low is None else low
        parts = weight * clip - weight.clip(min=0) * lowest - weight.clip(max=0) * high
        logit = weight @ clip + layer.bias[target].item()
        assert np.allclose(result, parts / (parts.sum() + EPSILON) * logit)


def test_box_bounds_that_the_input_exceeds_are_refused():
    network, input = nn.Linear(4, 3), torch.tensor([[-80.0, -3.0, 0.0, -9.0]])
    with pytest.raises(Mistake, match=r"attribution.low=0 is above the input's lowest value, -80; lower it"):
        LRP("box", low=0, high=1)(network, input, TARGET[:1])
    with pytest.raises(Mistake, match=r"attribution.high=-1 is below the input's highest value, 0; raise it"):
        LRP("box", low=-80, high=-1)(network, input, TARGET[:1])
    LRP("box", low=-79.9999, high=0)(network, input, TARGET[:1])


@pytest.mark.parametrize(
    "composite, by_hand",
    [
        ("epsilon_plus", composites.EpsilonPlus),
        ("epsilon_plus_flat", composites.EpsilonPlusFlat),
        ("alpha2_beta1", composites.EpsilonAlpha2Beta1),
        ("alpha2_beta1_flat", composites.EpsilonAlpha2Beta1Flat),
    ],
)
@pytest.mark.parametrize(
    "make, shape",
    [
        (partial(AudioNet, samples=512), (1, 512)),
        pytest.param(AlexNet, (1, 227, 227), marks=pytest.mark.slow),
    ],
)
def test_relevance_is_that_of_zennit_by_hand(composite, by_hand, make, shape):
    torch.manual_seed(0)
    network, input = make(3).eval(), torch.randn(2, *shape)
    lay_channels_last(network)
    for zero_bias in (True, False):
        relevance = LRP(composite, zero_bias)(network, input, TARGET)
        with ZennitGradient(network, by_hand(zero_params=["bias"] if zero_bias else None)) as attributor:
            _, expected = attributor(input.clone(), lambda output: output * F.one_hot(TARGET, 3))
        torch.testing.assert_close(relevance, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


# ---- conservation


def wide1d() -> nn.Sequential:
    layers = [
        nn.Conv1d(3, 8, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(8, 8, 5), nn.ReLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(48, 9), nn.ReLU(), nn.Linear(9, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers)


def wide2d() -> nn.Sequential:
    layers = [
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(32, 9), nn.ReLU(), nn.Linear(9, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers)


def conservation_error(relevance: Tensor, logit: Tensor, biases: Tensor | float = 0.0) -> Tensor:
    """|sum of relevance (B, ...) and biases (B,) - logit (B,)| / |logit|, (B,)."""
    return (relevance.flatten(1).sum(1) + biases - logit).abs() / logit.abs()


@pytest.mark.parametrize("make, shape", [(wide1d, (3, 32)), (wide2d, (3, 12, 12))])
@pytest.mark.parametrize("composite", RULES)
def test_relevance_adds_up_to_the_logit_with_that_of_biases(composite, make, shape):
    # wide, because an output without positive, or under alpha2-beta1 negative, contributions loses relevance
    network, input = built(make), clips(shape)
    logit = logits(network, input)
    assert conservation_error(LRP(composite, zero_bias=True)(network, input, TARGET), logit).max() < 1e-3
    attribution = LRP(composite)
    relevance = attribution(network, input, TARGET)
    assert conservation_error(relevance, logit).min() > 1e-2
    assert conservation_error(relevance, logit, attribution.biases).max() < 1e-3


@pytest.fixture(
    scope="module",
    params=[(partial(AudioNet, samples=2000), (1, 2000)), (AlexNet, (1, 227, 227))],
    ids=["AudioNet", "AlexNet"],
)
def published(request) -> tuple[nn.Module, Tensor]:
    """A network of the paper with random weights, and a clip that is silent at first."""
    make, shape = request.param
    torch.manual_seed(0)
    network, input = make(3).eval(), torch.rand(1, *shape)
    input[..., :40] = 0
    lay_channels_last(network)
    return network, input


@pytest.mark.parametrize("zero_bias", [True, False])
@pytest.mark.parametrize("composite", RULES)
def test_relevance_of_the_published_networks_adds_up_to_the_logit(published, composite, zero_bias):
    network, input = published
    if not zero_bias:  # fresh convolutions have none
        network = deepcopy(network)
        for bias in (parameter for name, parameter in network.named_parameters() if name.endswith("bias")):
            nn.init.normal_(bias, std=0.05)
    attribution = LRP(composite, zero_bias)
    relevance = attribution(network, input, TARGET[:1])
    assert attribution.biases.any() == (not zero_bias)
    error = conservation_error(relevance, logits(network, input, TARGET[:1]), attribution.biases).item()
    if isinstance(network, AudioNet) and composite == "alpha2_beta1":
        assert 0.01 < error < 1  # a filter of three weights often lacks one sign, as the docstring says
    else:
        assert error < 1e-2


# ---- closed forms: of networks that are affine, at least where the input lies


@pytest.mark.parametrize("make", SHAPES)
def test_epsilon_is_gradient_times_input_and_biases_get_the_rest(make):
    network, input = built(make), clips(SHAPES[make])
    attribution = LRP("epsilon", epsilon=1e-12)
    relevance, exact = attribution(network, input, TARGET), GradientXInput()(network, input, TARGET)
    assert torch.allclose(relevance, exact, rtol=1e-6, atol=1e-9)
    assert torch.allclose(attribution.biases, logits(network, input) - exact.flatten(1).sum(1), rtol=1e-6, atol=1e-9)
    assert not torch.allclose(LRP("epsilon", True, 1e-12)(network, input, TARGET), exact, rtol=0.1, atol=0)


def affine() -> nn.Sequential:
    return nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 20), nn.Linear(20, 3))


def audionet_dense() -> nn.Sequential:
    """AudioNet's layers behind its convolutions, as published: no ReLUs between them."""
    layers = list(AudioNet(3, samples=512).layers)
    return nn.Sequential(*layers[-5:])


@pytest.mark.parametrize("make", [affine, audionet_dense])
def test_epsilon_finds_the_exact_contributions_of_an_affine_network(make):
    """A row of the product of its matrices times the input; biases contribute the network's answer to zeros."""
    network = built(make).eval()
    weights = [layer.weight.detach() for layer in network if isinstance(layer, nn.Linear)]
    # not negative, as behind ReLUs
    input = torch.rand(50, weights[0].shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = torch.arange(50) % 3
    exact = input * (weights[2] @ weights[1] @ weights[0])[target]
    attribution, without = LRP("epsilon", epsilon=1e-12), LRP("epsilon", zero_bias=True, epsilon=1e-12)
    torch.testing.assert_close(attribution(network, input, target), exact, rtol=1e-6, atol=1e-7)
    of_zeros = network(torch.zeros_like(input)).gather(1, target[:, None])[:, 0].detach()
    torch.testing.assert_close(attribution.biases, of_zeros, rtol=1e-6, atol=1e-9)
    assert correlations(LRP("epsilon")(network, input, target), exact).median() > 0.999999
    spread = without(network, input, target)  # over the inputs, where it does not belong
    assert correlations(spread, exact).quantile(0.05) < 0.9 and (spread / exact).abs().median(1).values.max() > 5
    assert not without.biases.any()


def correlations(one: Tensor, other: Tensor) -> Tensor:
    """(N,) between rows (N, D)."""
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(one, other, strict=True)])


class Framed(nn.Module):
    """Makes rows of its frames, with the frames of a clip beside each other or in turn, or puts time first."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.of_frame, self.of_clip = way, nn.Linear(4, 3), nn.Linear(18, 3)

    def forward(self, input: Tensor) -> Tensor:
        frames = input.view(len(input), 6, 4)
        if self.way == "beside":
            rows = self.of_frame(frames.flatten(0, 1)).view(-1, 6, 3)
        elif self.way == "in turn":
            rows = self.of_frame(frames.transpose(0, 1).flatten(0, 1)).view(6, -1, 3).transpose(0, 1)
        else:
            rows = self.of_frame(frames.transpose(0, 1)).transpose(0, 1)
        return self.of_clip(rows.flatten(1))


@pytest.mark.parametrize("way", ["beside", "in turn", "time first"])
def test_biases_of_frames_are_those_of_their_clip(way):
    """Rows of a layer that are not clips; of six clips, as many as frames, too."""
    torch.manual_seed(0)
    network, attribution = Framed(way).double(), LRP("epsilon")
    for count in (2, 6):
        input, target = clips((24,), count), torch.arange(count) % 3
        relevance = attribution(network, input, target)
        error = conservation_error(relevance, logits(network, input, target), attribution.biases)
        assert error.max() < 1e-4 and (attribution.biases / relevance.sum(1)).abs().min() > 1e-3


def test_a_larger_epsilon_absorbs_relevance():
    network, input = built(dense, bias=False), clips(SHAPES[dense])
    small, large = (LRP("epsilon", epsilon=value)(network, input, TARGET).abs().sum() for value in (1e-6, 1.0))
    assert large < 0.8 * small


# ---- nothing is left behind


class Trip(nn.Module):
    """Passes its input on, and fails in the backward pass while it is armed."""

    armed = True

    def forward(self, input: Tensor) -> Tensor:
        output = input.view_as(input)
        if self.armed and output.requires_grad:
            output.register_hook(self._fail)
        return output

    def _fail(self, gradient: Tensor) -> None:
        raise RuntimeError("tripped")


@pytest.mark.parametrize("composite", RULES)
@pytest.mark.parametrize("armed", [False, True])
def test_hooks_come_off_and_outputs_stay_bit_equal(composite, armed):
    network, input = built(conv1d).eval(), clips(SHAPES[conv1d])
    network.insert(3, trip := Trip())
    trip.armed = armed
    parameters, before = list(network.parameters()), network(input)
    attribution = LRP(composite)
    if armed:
        with pytest.raises(Mistake, match="fails while its operations are watched: tripped"):
            attribution(network, input, TARGET)
    else:
        attribution(network, input, TARGET)
    for module in network.modules():
        assert not any([module._forward_hooks, module._forward_pre_hooks, module._backward_hooks])
        assert "forward" not in module.__dict__
    assert all(now is then for now, then in zip(network.parameters(), parameters, strict=True))
    assert torch.equal(network(input), before)

    trip.armed = False
    relevance = attribution(network, input, TARGET)
    assert torch.equal(relevance, LRP(composite)(network, input, TARGET))


def test_a_network_is_tried_once():
    network, input, attribution = built(dense), clips(SHAPES[dense]), LRP()
    first = attribution(network, input, TARGET)
    runs = []
    network.register_forward_hook(lambda *_: runs.append(1))
    assert torch.equal(attribution(network, input, TARGET), first) and len(runs) == 1


@pytest.mark.parametrize("composite", [name for name, (first, _) in RULES.items() if first])
def test_the_first_layer_is_the_one_that_runs_first(composite):
    """Whatever the order in which layers are registered."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.conv = nn.Linear(16, 3), nn.Conv1d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.conv(x).flatten(1))

    network, input = Net().double(), clips((2, 8))
    in_order = nn.Sequential(network.conv, nn.Flatten(), network.dense)
    relevance = LRP(composite)(network, input, TARGET)
    assert torch.equal(relevance, LRP(composite)(in_order, input, TARGET))
    assert not torch.allclose(
        relevance, LRP(composite.removesuffix("_flat").replace("box", "epsilon_plus"))(network, input, TARGET)
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"composite": "gamma"}, "attribution.composite=gamma is unknown; choose one of epsilon, epsilon_plus, "),
        ({"zero_bias": "no"}, "attribution.zero_bias=no is neither true nor false"),
        ({"epsilon": 0}, "attribution.epsilon=0 is not a number from 1e-12 to 1000"),
        ({"low": "floor"}, "attribution.low=floor is not a number .* or null"),
        ({"high": True}, "attribution.high=True is not a number"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(Mistake, match=message):
        LRP(**options)
