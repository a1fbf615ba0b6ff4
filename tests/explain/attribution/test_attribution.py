"""Attributions other than LRP, and what all of them promise, whichever YAML they come from."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.attribution.base import attribution_of
from auscult.explain.attribution.controls import Amplitude, Random
from auscult.explain.attribution.gradients import Gradient, GradientXInput, IntegratedGradients, SmoothGrad
from auscult.explain.attribution.occlusion import Occlusion
from auscult.explain.domain.domains import Input
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram
from auscult.modules.classifier import lay_channels_last
from auscult.modules.model import Model
from auscult.modules.networks.alexnet import AlexNet
from auscult.modules.networks.audionet import AudioNet
from auscult.program.conf import choice, choices_of

CHOICES = [name for name in choices_of("attribution") if name != "freqrise"]  # which takes frequencies only
CHEAP = {"steps": 2, "samples": 2, "window": 0.5, "stride": 0.5, "masks": 4}
TARGET = torch.tensor([2, 0, 1])


@cache
def chosen(name: str) -> dict[str, Any]:
    return choice("attribution", name)


class Half(nn.Module):
    """A logit of half the input's energy: its gradient is the input itself."""

    def forward(self, input: Tensor) -> Tensor:
        return input.square().flatten(1).sum(1, keepdim=True) / 2


def small(dimensions: int = 1) -> nn.Module:
    torch.manual_seed(0)
    convolution, pool = (nn.Conv1d, nn.MaxPool1d) if dimensions == 1 else (nn.Conv2d, nn.MaxPool2d)
    layers = [
        convolution(1, 4, 3, padding=1), nn.ReLU(), pool(2), convolution(4, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(5 * 4**dimensions, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers).double()


def clips(dimensions: int = 1, precision: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 1, *[12] * dimensions, generator=generator, dtype=torch.float64).to(precision)


def cheap(name: str) -> object:
    node = chosen(name)
    return build_named(node | {option: CHEAP[option] for option in node.keys() & CHEAP}, "attribution")


def logits(network: nn.Module, input: Tensor, target: Tensor = TARGET) -> Tensor:
    return network.eval()(input).gather(1, target[:, None])[:, 0].detach()


# ---- what every choice promises


def test_each_choice_is_named_as_its_file():
    assert set(choices_of("attribution")) == {
        "lrp_epsilon", "lrp_epsilon_plus", "lrp_epsilon_plus_flat", "lrp_alpha2_beta1", "lrp_alpha2_beta1_flat",
        "lrp_box", "gradient", "gradient_x_input", "integrated_gradients", "smoothgrad", "occlusion", "rise",
        "freqrise", "audio_lrp_epsilon", "audio_lrp_flat", "amplitude", "random", "lrp_epsilon_zero_bias",
        "lrp_epsilon_plus_zero_bias", "attnlrp", "cp_lrp",
    }  # fmt: skip
    assert all(chosen(name)["name"] == name for name in choices_of("attribution"))


@pytest.mark.parametrize(
    ("name", "composite", "zero_bias", "epsilon"),
    [
        ("attnlrp", "attnlrp", False, 1e-06),
        ("audio_lrp_epsilon", "epsilon", False, 1e-07),
        ("audio_lrp_flat", "epsilon_plus_flat", False, 0.1),
        ("cp_lrp", "cp_lrp", False, 1e-06),
        ("lrp_alpha2_beta1", "alpha2_beta1", False, 1e-06),
        ("lrp_alpha2_beta1_flat", "alpha2_beta1_flat", False, 1e-06),
        ("lrp_box", "box", False, 1e-06),
        ("lrp_epsilon", "epsilon", False, 1e-06),
        ("lrp_epsilon_plus", "epsilon_plus", False, 1e-06),
        ("lrp_epsilon_plus_flat", "epsilon_plus_flat", False, 1e-06),
        ("lrp_epsilon_plus_zero_bias", "epsilon_plus", True, 1e-06),
        ("lrp_epsilon_zero_bias", "epsilon", True, 1e-06),
    ],
)
def test_files_that_share_a_base_say_what_they_said_without_one(name, composite, zero_bias, epsilon):
    options = {"composite": composite, "zero_bias": zero_bias, "epsilon": epsilon}
    more = {"low": None, "high": None} if name == "lrp_box" else {}
    expected = {"name": name, "_target_": "auscult.explain.attribution.lrp.LRP", **options, **more}
    assert list(chosen(name).items()) == list(expected.items())  # in this order, in config.yaml, too


@pytest.mark.parametrize(
    "make, shape",
    [
        (partial(AudioNet, samples=2000), (1, 2000)),
        pytest.param(AlexNet, (1, 227, 227), marks=pytest.mark.slow),
    ],
)
def test_each_choice_explains_both_networks(make, shape):
    torch.manual_seed(0)
    network, input, target = make(10), torch.randn(1, *shape), torch.tensor([3])
    lay_channels_last(network)
    for name in CHOICES:
        relevance = cheap(name)(network, input, target)
        assert (relevance.shape, relevance.dtype, relevance.requires_grad) == (input.shape, torch.float32, False), name
        assert relevance.isfinite().all() and relevance.any(), name
    assert network.training


@pytest.mark.parametrize("name", CHOICES)
def test_the_network_and_the_input_come_back_as_they_were(name):
    network, input = small(), clips()
    network.train()
    network[0].eval()
    network[3].weight.requires_grad_(False)
    network[0].weight.grad = torch.ones_like(network[0].weight)
    parameters = dict(network.named_parameters())
    before = {key: value.clone() for key, value in network.state_dict().items()}, input.clone()

    cheap(name)(network, input, TARGET)
    assert [module.training for module in network] == [False, *[True] * 7] and network.training
    assert all(parameter is parameters[key] for key, parameter in network.named_parameters())
    assert all(torch.equal(value, before[0][key]) for key, value in network.state_dict().items())
    assert torch.equal(input, before[1]) and not input.requires_grad
    assert not network[3].weight.requires_grad and network[0].weight.requires_grad
    assert torch.equal(network[0].weight.grad, torch.ones_like(network[0].weight))
    assert all(parameter.grad is None for key, parameter in parameters.items() if key != "0.weight")


@contextmanager
def autocast() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16):
        yield


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, autocast])
@pytest.mark.parametrize("name", CHOICES)
def test_what_the_caller_is_in_changes_nothing(name, mode):
    network, attribution = small().float(), cheap(name)
    input = clips(precision=torch.float32)
    expected = attribution(network, input, TARGET)
    with mode():
        relevance = attribution(network, input * 1, TARGET * 1)  # made in that mode
    assert torch.equal(relevance, expected)


def test_half_precision_input_is_explained_in_float32():
    network, input = small().float(), clips().half()
    for name in CHOICES:
        relevance = cheap(name)(network, input, TARGET)
        assert relevance.dtype == torch.float32, name
        assert torch.equal(relevance, cheap(name)(network, input.float(), TARGET)), name


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("name", CHOICES)
def test_a_clip_is_explained_alike_alone_and_in_a_batch(name, dimensions):
    network, input, attribution = small(dimensions), clips(dimensions), cheap(name)
    alone = [attribution(network, clip[None], target[None]) for clip, target in zip(input, TARGET, strict=True)]
    assert torch.allclose(attribution(network, input, TARGET), torch.cat(alone), rtol=1e-9, atol=1e-12)


# ---- each for itself


def test_the_gradient_is_that_of_the_targets_logit():
    network, input = small(), clips()
    relevance = Gradient()(network, input, TARGET)
    step = 1e-6
    for index in (0, 5, 11):
        moved = torch.zeros_like(input)
        moved[..., index] = step
        slope = (logits(network, input + moved) - logits(network, input - moved)) / (2 * step)
        assert torch.allclose(relevance[:, 0, index], slope, atol=1e-7)
    assert torch.equal(GradientXInput()(network, input, TARGET), relevance * input)


def test_integrated_gradients_add_up_to_what_the_logit_gains():
    network, input = small(), clips()
    for baseline in (0.0, -2.0):
        gain = logits(network, input) - logits(network, torch.full_like(input, baseline))
        relevance = IntegratedGradients(300, baseline)(network, input, TARGET)
        assert torch.allclose(relevance.flatten(1).sum(1), gain, atol=1e-3)


def test_integrated_gradients_of_energy_are_exact_in_expectation():
    # along the way the gradient of half the energy is the point itself, whose mean is half of the input
    input, target = clips(), torch.zeros(3, dtype=torch.int64)
    relevance = IntegratedGradients(16)(Half(), input, target)
    assert torch.allclose(relevance, input.square() / 2, rtol=1e-12)


def test_smoothgrad_averages_gradients_at_noisy_copies():
    input, target = torch.rand(2, 1, 20000, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    input[1] *= 10
    input[0, 0, :2], input[1, 0, :2] = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 10.0])  # the range of each clip
    noise = SmoothGrad(noise=0.1, samples=1, seed=3)(Half(), input, target) - input
    assert noise.std(-1).flatten().tolist() == pytest.approx([0.1, 1.0], rel=0.02)
    mean = SmoothGrad(noise=0.1, samples=25, seed=3)(Half(), input, target) - input
    assert mean.std(-1).flatten().tolist() == pytest.approx([0.02, 0.2], rel=0.02)
    other = SmoothGrad(noise=0.1, samples=1, seed=4)(Half(), input, target) - input
    assert abs(torch.corrcoef(torch.stack([noise[0, 0], other[0, 0]]))[0, 1]) < 0.03
    assert torch.equal(SmoothGrad(noise=0.0, samples=1)(Half(), input, target), input)


@pytest.mark.parametrize(
    "dimensions, window, stride, windows, strides",
    [(1, 5, 3, [5], [3]), (1, 0.25, 0.25, [3], [3]), (1, 40, 40, [12], [12]), (2, [5, 0.75], [4, 5], [5, 9], [4, 5])],
)
def test_occlusion_is_the_mean_loss_over_the_windows_that_hide_a_value(dimensions, window, stride, windows, strides):
    network, input = small(dimensions), clips(dimensions)
    places = list(itertools.product(range(12), repeat=dimensions))

    def inside(place: tuple[int, ...], start: tuple[int, ...]) -> bool:
        return all(first <= at < first + size for at, first, size in zip(place, start, windows, strict=True))

    starts = [
        [start for start in range(0, 12, stride) if start == 0 or start - stride + window < 12]
        for window, stride in zip(windows, strides, strict=True)
    ]
    losses = {}
    for start in itertools.product(*starts):
        hidden = input.clone()
        for place in places:
            if inside(place, start):
                hidden[(..., *place)] = -1.5
        losses[start] = logits(network, input) - logits(network, hidden)
    expected = torch.zeros_like(input)
    for place in places:
        hiding = [loss for start, loss in losses.items() if inside(place, start)]
        expected[(slice(None), 0, *place)] = torch.stack(hiding).mean(0)
    relevance = Occlusion(window, stride, baseline=-1.5)(network, input, TARGET)
    assert torch.allclose(relevance, expected, atol=1e-12)


def test_occlusion_hides_one_channel_at_a_time():
    input, target = torch.ones(1, 2, 4, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    assert Occlusion(2, 2)(Half(), input, target).tolist() == [[[1.0] * 4] * 2]  # 2 values of energy 1/2 each


def test_amplitude_is_the_distance_from_nothing():
    input = torch.tensor([[[-3.0, 0.0, 2.0]]])
    assert Amplitude()(nn.Identity(), input, TARGET[:1]).tolist() == [[[3, 0, 2]]]
    assert Amplitude(-80)(nn.Identity(), input - 77, TARGET[:1]).tolist() == [[[0, 3, 5]]]


def test_random_follows_from_clip_and_seed_alone():
    input = torch.rand(2, 1, 4000)
    relevance = Random(seed=5)(small(), input, TARGET[:2])
    assert torch.equal(relevance, Random(seed=5)(nn.Identity(), input, TARGET[1:]))
    assert relevance.std().item() == pytest.approx(1, rel=0.05)
    other = torch.cat([relevance, Random(seed=6)(small(), input, TARGET[:2]), input]).flatten(1)  # (6, 4000)
    assert (torch.corrcoef(other) - torch.eye(6)).abs().max() < 0.08


# ---- silence


def raw_decibels() -> tuple[Model, Tensor]:
    """A network that is given raw decibels, in which silence is -80 and the loudest bin 0, and waveforms."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(227 * 227, 3)).eval()
    model = Model(network, front_end=DecibelSpectrogram(raw_decibels=True), classes=["a", "b", "c"], sample_rate=8000)
    waveform = torch.zeros(2, 1, 8000)
    waveform[:, :, 2000:4000] = torch.randn(2, 1, 2000)
    return model.eval(), waveform


@pytest.mark.parametrize("name", ["amplitude", "integrated_gradients", "occlusion", "rise"])
def test_what_a_front_end_calls_silence_is_the_baseline(name):
    """Of a linear network, the bins that are silent anyhow have no part in what it says of the clip."""
    model, waveform = raw_decibels()
    input, target = model.front_end(waveform), torch.tensor([0, 2])
    silent = input == -80
    assert silent.any() and not silent.all()
    method = cheap(name)
    relevance, _ = Input(model, 8000).relevance(method, waveform, input, target)
    if name == "amplitude":
        torch.testing.assert_close(relevance, input + 80)
        return
    if name == "integrated_gradients":
        exact = (input + 80) * model.network[1].weight[target].view_as(input)
        torch.testing.assert_close(relevance, exact, rtol=1e-4, atol=1e-5)
        assert (relevance[silent] == 0).all()
        return
    by_hand = build_named(chosen(name) | {k: CHEAP[k] for k in chosen(name).keys() & CHEAP} | {"baseline": -80}, "a")
    torch.testing.assert_close(relevance, by_hand(model.network, input, target))


def test_a_number_is_the_baseline_where_it_is_given():
    model, waveform = raw_decibels()
    input = model.front_end(waveform)
    relevance, _ = Input(model, 8000).relevance(Amplitude(-10), waveform, input, torch.tensor([0, 1]))
    torch.testing.assert_close(relevance, (input + 10).abs())


# ---- bad options


class OfAnotherLibrary:
    def attribute(self, input: Tensor, target: int) -> Tensor:
        return input


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OfAnotherLibrary", r"attribution: OfAnotherLibrary cannot be called as \(network, input, target\)"),
        ("takes_three", r"attribution\._target_=.*\.takes_three is no class; name one, to be built\."),
    ],
)
def test_what_is_no_attribution_is_refused(name, message):
    with pytest.raises(Mistake, match=message):
        attribution_of({"name": "mine", "_target_": f"{__name__}.{name}"})


def takes_three(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    return input


@pytest.mark.parametrize(
    "name, option, value, message",
    [
        ("integrated_gradients", "steps", 0, "attribution.steps=0 is not a whole number of 1 or more"),
        ("integrated_gradients", "baseline", "silence", "attribution.baseline=silence is not a number"),
        ("smoothgrad", "samples", 2.5, "attribution.samples=2.5 is not a whole number"),
        ("smoothgrad", "noise", -1, "attribution.noise=-1 is not a number from 0 to 1"),
        ("smoothgrad", "seed", "x", "attribution.seed=x is not a whole number"),
        ("random", "seed", -1, "attribution.seed=-1 is not a whole number"),
        ("amplitude", "baseline", "quiet", "attribution.baseline=quiet is not a number"),
        ("occlusion", "window", 0, "attribution.window=0 is not a number"),
        ("occlusion", "window", [4, "x"], "attribution.window=x is not a number"),
        ("gradient", "steps", 4, r"attribution: Gradient\(\) takes no arguments"),
    ],
)
def test_a_bad_option_is_named(name, option, value, message):
    with pytest.raises(Mistake, match=message):
        build_named(chosen(name) | {option: value}, "attribution")


def test_windows_that_do_not_fit_the_input_are_refused():
    with pytest.raises(Mistake, match=r"attribution.window=\[4, 4\] names 2 dimensions; the input has 1"):
        Occlusion([4, 4], 2)(small(), clips(), TARGET)
    with pytest.raises(Mistake, match=r"attribution.stride=5 leaves gaps between windows of 4"):
        Occlusion(4, 5)(small(), clips(), TARGET)
