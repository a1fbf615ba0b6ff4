"""Each operation's rule in float64 against its equation, written down slowly."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.operations import Operations
from auscult.explain.lrp.rules import AlphaBeta, Epsilon

EPSILON = 1e-12


def epsilon(attention: str = "given", uses_bias: bool = True) -> Composite:
    rule = Epsilon(EPSILON, uses_bias)
    return Composite(rule, rule, None, attention, EPSILON, uses_bias)


def plus() -> Composite:
    return Composite(AlphaBeta(1, 0, True), Epsilon(EPSILON, True))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def handed_back(function, input: Tensor, composite: Composite | None = None, relevance: Tensor | None = None):
    """Relevance of the input (B, ...), and what is kept and unshared (B,), for drawn relevance of the output."""
    apart = input.new_zeros(2, len(input)).requires_grad_()
    leaf = input.clone().requires_grad_()
    note_of(leaf)
    with Operations(composite or epsilon(), apart):
        output = function(leaf)
    relevance = drawn(*output.shape, seed=7) if relevance is None else relevance
    found, apart = torch.autograd.grad(output, [leaf, apart], relevance, materialize_grads=True)
    return found, apart[0], apart[1], output.detach(), relevance


def stable(values):
    values = np.asarray(values, dtype=float)
    return values + EPSILON * np.where(values >= 0, 1, -1)


def by_matrix(matrix: np.ndarray, constant: np.ndarray, x: np.ndarray, relevance: np.ndarray):
    """The epsilon rule of `matrix @ x + constant`: relevance of the inputs, and of the constant."""
    quotient = relevance / stable(matrix @ x + constant)
    return (matrix * x).T @ quotient, constant @ quotient


# ---- what is linear: its matrix, column by column, is what it makes of unit vectors


conv = nn.Conv1d(4, 6, 3, padding=1).double().requires_grad_(False)
WEIGHTS = {
    "conv1d": nn.Conv1d(3, 4, 3, stride=2, padding=1), "grouped": nn.Conv1d(4, 6, 2, groups=2),
    "dilated": nn.Conv1d(2, 3, 3, dilation=2, padding=2), "same": nn.Conv1d(2, 3, 4, padding="same"),
    "circular": nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"),
    "reflected": nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
    "replicated": nn.Conv1d(2, 3, 3, padding=1, padding_mode="replicate"),
    "conv2d": nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 0), bias=False), "conv3d": nn.Conv3d(1, 2, 2),
    "transposed": nn.ConvTranspose1d(4, 2, 3, stride=2, groups=2, output_padding=1),
    "transposed 2-D": nn.ConvTranspose2d(2, 3, 2), "dense": nn.Linear(5, 4), "dense of rows": nn.Linear(6, 2),
    "mean pool": nn.AvgPool2d(2, padding=1), "adaptive": nn.AdaptiveAvgPool1d(3), "fold": nn.Fold((4, 5), 2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"), "linear": nn.Upsample(size=7, mode="linear"),
}  # fmt: skip
SHAPES = {
    "conv1d": (3, 8), "grouped": (4, 6), "dilated": (2, 9), "same": (2, 7), "circular": (2, 6), "reflected": (2, 4, 5),
    "replicated": (2, 6), "conv2d": (2, 4, 6), "conv3d": (1, 3, 3, 3), "transposed": (4, 4),
    "transposed 2-D": (2, 3, 3),
    "dense": (5,), "dense of rows": (3, 6), "mean pool": (2, 4, 4), "adaptive": (2, 7), "fold": (8, 12),
    "bilinear": (2, 3, 2), "linear": (2, 4),
}  # fmt: skip
FUNCTIONS = {
    "mean": lambda x: x.mean(-1), "sum": lambda x: torch.sum(x, dim=(1, 2), keepdim=True),
    "cumsum": lambda x: x.cumsum(1),
    "mean of all but clips": lambda x: x.flatten(1).mean(1, keepdim=True),
    "matmul": lambda x: x @ drawn(6, 4, seed=3), "matmul from the left": lambda x: drawn(4, 5, seed=3) @ x,
    "einsum": lambda x: torch.einsum("bij,jk->bki", x, drawn(6, 3, seed=3)),
    "diff": lambda x: x.diff(dim=1), "affine": lambda x: 3 * x - drawn(6, seed=3), "from a number": lambda x: 2 - x / 4,
    "F.conv1d": lambda x: F.conv1d(x, drawn(2, 5, 2, seed=3), drawn(2, seed=4)),
    "unit weight": lambda x: x.add(drawn(5, 6, seed=3), alpha=0.5),
    "in place": lambda x: (x * 1).add_(drawn(5, 6, seed=3)).mul_(1),
    "addmm": lambda x: torch.addmm(drawn(3, seed=4), x.flatten(1), drawn(30, 3, seed=3)),
}  # fmt: skip


def cases():
    torch.manual_seed(0)
    for name, module in WEIGHTS.items():
        yield pytest.param(module.double().requires_grad_(False), (2, *SHAPES[name]), id=name)
    for name, function in FUNCTIONS.items():
        yield pytest.param(function, (2, 5, 6), id=name)


@pytest.mark.parametrize("function, shape", cases())
def test_what_is_affine_has_the_epsilon_rule(function, shape):
    input = drawn(*shape)
    found, kept, _, output, relevance = handed_back(function, input)
    for clip, of_input, of_constant, given in zip(input, found, kept, relevance, strict=True):
        size = clip.numel()
        units = torch.cat([torch.zeros(1, size), torch.eye(size)]).double().view(-1, *clip.shape)
        values = function(units).flatten(1).numpy()
        matrix, constant = (values[1:] - values[0]).T, values[0]
        expected, bias = by_matrix(matrix, constant, clip.flatten().numpy(), given.flatten().numpy())
        np.testing.assert_allclose(of_input.flatten().numpy(), expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(of_constant.item(), bias, rtol=1e-7, atol=1e-9)
    assert torch.equal(output, function(input)) or torch.allclose(output, function(input), rtol=1e-12)


# ---- values by themselves

ACTIVATIONS = {
    "relu": F.relu, "relu in place": lambda x: F.relu(x * 1.0, inplace=True), "relu6": F.relu6, "tanh": torch.tanh,
    "leaky": F.leaky_relu, "prelu": lambda x: F.prelu(x, torch.full((1,), 0.2, dtype=torch.float64)), "elu": F.elu,
    "gelu": F.gelu, "approximate gelu": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "mish": F.mish,
    "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "sigmoid": torch.sigmoid, "selu": F.selu, "celu": F.celu,
    "softplus": F.softplus, "logsigmoid": F.logsigmoid, "clamp": lambda x: x.clamp(-1, 1), "abs": abs,
    "square": lambda x: x**2, "power": lambda x: torch.pow(x, 3), "itself": lambda x: x * x, "exp": torch.exp,
    "log": lambda x: torch.log(x.abs() + 0.0), "root": lambda x: x.abs().sqrt(), "minus": lambda x: -x,
    "hardtanh": F.hardtanh, "threshold": lambda x: F.threshold(x, 0.1, 20.0), "sin": torch.sin,
    "half": lambda x: x / 2, "double": lambda x: 2.0 * x, "inverse": lambda x: 1 / x,
    "snake": lambda x: x + torch.sin(2 * x) ** 2 / 2, "dropout": nn.Dropout().eval(),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_pass_relevance_on(name):
    function, input = ACTIVATIONS[name], drawn(2, 3, 4)
    found, kept, _, output, relevance = handed_back(function, input)
    if name == "log":  # adds a constant of 0, which has no share
        assert not kept.any()
    torch.testing.assert_close(found, relevance, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output, function(input))


def test_summands_get_their_shares():
    """A residual: `x + f(x)`, with f doubling and turning the sign of every second value."""
    factor = torch.tensor([2.0, -3.0]).double().repeat(2)
    input = drawn(2, 4)
    for function in (lambda x: x + factor * x, lambda x: x.add_(factor * x), lambda x: torch.sub(x, -factor * x)):
        found, kept, _, _, relevance = handed_back(function, input)
        own, other = input.numpy(), (factor * input).numpy()
        expected = (own + other) / stable(own + other) * relevance.numpy()
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
        assert not kept.any()


def test_a_constant_summand_keeps_its_share():
    input, constant = drawn(2, 3, 4), drawn(4, seed=3)
    found, kept, _, _, relevance = handed_back(lambda x: constant + x, input)
    quotient = relevance.numpy() / stable(input + constant)
    np.testing.assert_allclose(found.numpy(), input.numpy() * quotient)
    np.testing.assert_allclose(kept.numpy(), (quotient * constant.numpy()).sum((1, 2)))


def test_a_gate_gets_nothing_of_a_product():
    """Both halves of the input: the second is the gate."""
    for gate in (torch.sigmoid, F.hardsigmoid, lambda x: x.softmax(-1), lambda x: 1 - x.sigmoid()):
        for function in (
            lambda x, gate=gate: x[:, :3] * gate(x[:, 3:]),
            lambda x, gate=gate: gate(x[:, 3:]) * x[:, :3],
            lambda x, gate=gate: x[:, :3].mul(gate(x[:, 3:].unsqueeze(-1).squeeze(-1))),
        ):
            found, _, _, _, relevance = handed_back(function, drawn(2, 6))
            torch.testing.assert_close(found, torch.cat([relevance, torch.zeros_like(relevance)], 1))
    found, _, _, _, relevance = handed_back(lambda x: F.glu(x, 1), drawn(2, 6))
    torch.testing.assert_close(found, torch.cat([relevance, torch.zeros_like(relevance)], 1))


def test_a_gate_is_broadcast_in_squeeze_and_excitation():
    input = drawn(2, 3, 5)
    found, _, _, _, relevance = handed_back(lambda x: x * x.mean(2, keepdim=True).sigmoid(), input)
    torch.testing.assert_close(found, relevance)


def test_two_signals_share_their_product():
    found, _, _, _, relevance = handed_back(lambda x: x[:, :3] * x[:, 3:], drawn(2, 6))
    torch.testing.assert_close(found, torch.cat([relevance, relevance], 1) / 2)


def test_a_computed_denominator_gets_nothing():
    found, _, _, _, relevance = handed_back(lambda x: x / (x.abs().sum(1, keepdim=True) + 1), drawn(2, 6))
    torch.testing.assert_close(found, relevance)
    found, _, _, _, relevance = handed_back(lambda x: F.normalize(x, dim=1), drawn(2, 6))
    torch.testing.assert_close(found, relevance)


# ---- several values


def test_the_winner_takes_all():
    input = torch.tensor([[[1.0, 3.0, 2.0, 5.0]], [[4.0, 1.0, 1.5, 0.0]]]).double()
    one = {
        "F.max_pool1d": lambda x: F.max_pool1d(x, 2), "module": nn.MaxPool1d(2), "adaptive": nn.AdaptiveMaxPool1d(2),
        "with places": lambda x: F.max_pool1d(x, 2, return_indices=True)[0],
    }  # fmt: skip
    for function in one.values():
        found, _, _, _, relevance = handed_back(function, input)
        first, second = relevance[0, 0], relevance[1, 0]
        assert found[0, 0].tolist() == [0, first[0], 0, first[1]] and found[1, 0].tolist() == [
            second[0],
            0,
            second[1],
            0,
        ]
    for function in (lambda x: x.max(-1).values, lambda x: x.amax(-1), lambda x: x.topk(1, -1)[0][..., 0]):
        found, _, _, _, relevance = handed_back(function, input)
        assert found[0, 0].tolist() == [0, 0, 0, relevance[0, 0]] and found[1, 0].tolist() == [relevance[1, 0], 0, 0, 0]


def shared_by_loops(input, relevance, kernel, stride, padding, dilation):
    """Relevance of each output in equal parts for the values of its window, an interval per dimension, that equal its
    maximum; padding is never one of them."""
    found = np.zeros(input.shape)
    for place in np.ndindex(*relevance.shape):
        clip, channel, *window = place
        inner = [
            [at for at in (start * s - p + d * tap for tap in range(k)) if 0 <= at < size]
            for start, size, k, s, p, d in zip(window, input.shape[2:], kernel, stride, padding, dilation, strict=True)
        ]
        values = {(clip, channel, *at): input[(clip, channel, *at)] for at in itertools.product(*inner)}
        winners = [at for at, value in values.items() if value == max(values.values())]
        for at in winners:
            found[at] += relevance[place] / len(winners)
    return found


@pytest.mark.parametrize(
    "shape, options",
    [
        ((9,), {"kernel_size": 3, "stride": 2}),
        ((9,), {"kernel_size": 2}),
        ((10,), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((11,), {"kernel_size": 3, "dilation": 2, "stride": 3}),
        ((7, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((7, 8), {"kernel_size": (3, 2), "stride": (2, 3), "dilation": (2, 1), "ceil_mode": True}),
        ((4, 5, 6), {"kernel_size": 2, "stride": (1, 2, 2), "padding": (0, 1, 1)}),
    ],
)
def test_equal_winners_share(shape, options):
    """Values are whole numbers, so that windows have several maxima."""
    input = drawn(2, 3, *shape).mul(1.5).round()
    pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(shape)]
    found, _, _, _, relevance = handed_back(lambda x: pool(x, **options), input)
    every = [options["kernel_size"], options.get("stride", options["kernel_size"])]
    every += [options.get("padding", 0), options.get("dilation", 1)]
    every = [(each,) * len(shape) if isinstance(each, int) else each for each in every]
    np.testing.assert_allclose(found, shared_by_loops(input.numpy(), relevance.numpy(), *every), atol=1e-12)
    places = handed_back(lambda x: pool(x, **options, return_indices=True)[0], input)[0]
    torch.testing.assert_close(places, found)


def test_equal_winners_share_along_a_dimension_and_in_pools_of_a_given_size():
    input = torch.tensor([[[2.0, 1.0, 2.0, 2.0, 0.0, 0.0]], [[5.0, 1.0, 1.0, -1.0, -1.0, -1.0]]]).double()
    for function in (lambda x: x.max(-1).values, lambda x: torch.max(x, dim=2)[0], lambda x: x.amax(-1),
                     lambda x: F.adaptive_max_pool1d(x, 1)[..., 0], lambda x: nn.MaxPool1d(6)(x)[..., 0]):  # fmt: skip
        found, _, _, _, relevance = handed_back(function, input)
        torch.testing.assert_close(
            found[:, 0], relevance * torch.tensor([[1 / 3, 0, 1 / 3, 1 / 3, 0, 0], [1, *[0] * 5]])
        )
    found, _, _, _, relevance = handed_back(lambda x: F.adaptive_max_pool1d(x, 2), input)
    torch.testing.assert_close(found[0, 0], torch.stack([*relevance[0, 0, [0, 0, 0]], *relevance[0, 0, [1, 1, 1]]])
                               * torch.tensor([0.5, 0, 0.5, 1, 0, 0]))  # fmt: skip
    found, _, _, _, relevance = handed_back(lambda x: x.min(-1).values, input)
    torch.testing.assert_close(
        found[:, 0], relevance * torch.tensor([[0, 0, 0, 0, 1 / 2, 1 / 2], [0, 0, 0, *[1 / 3] * 3]])
    )


def test_a_spectrogram_is_that_of_its_sums():
    """`R_t = x_t * sum_k (Re_k * cos_kt + Im_k * sin_kt) / |z_k|^2 * R_k`, frame by frame."""
    input, window = drawn(2, 20), torch.hann_window(8, dtype=torch.float64)

    def function(x):
        return torch.stft(x, 8, 4, window=window, center=False, return_complex=True).transpose(1, 2).abs()

    found, kept, unshared, _, relevance = handed_back(function, input)  # relevance (B, frames, frequencies)
    expected = np.zeros(input.shape)
    for clip, frame, frequency in np.ndindex(*relevance.shape):
        waves = [
            window[t].item() * np.exp(-2j * np.pi * frequency * t / 8) for t in range(8)
        ]  # what each sample contributes
        inner = input[clip, 4 * frame : 4 * frame + 8].numpy()
        value = sum(wave * sample for wave, sample in zip(waves, inner, strict=True))
        for t in range(8):
            slope = (value.real * waves[t].real + value.imag * waves[t].imag) / abs(value)
            expected[clip, 4 * frame + t] += inner[t] * slope * relevance[clip, frame, frequency].item() / abs(value)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert kept.abs().max() == unshared.abs().max() == 0


@pytest.mark.parametrize("kind, which", [("GRU", 0), ("LSTM", 0), ("LSTM", 1), ("RNN", 0)])
@pytest.mark.parametrize("computed", [False, True])
def test_cells_are_a_recurrent_layer(kind, which, computed):
    """The same weights, step by step in Python, have the same relevance as PyTorch's layer: of the last state, of the
    cell's last state, and with first states that depend on the input."""
    torch.manual_seed(0)
    layer = getattr(nn, kind)(3, 4, batch_first=True).double().requires_grad_(False)
    cell = getattr(nn, f"{kind}Cell")(3, 4).double().requires_grad_(False)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    to_state = nn.Linear(3, 4).double().requires_grad_(False)

    def first(x):
        if not computed:
            return None
        state = to_state(x[:, 0])
        return (state, to_state(x[:, 1])) if kind == "LSTM" else state

    def by_cells(x):
        state = first(x)
        for step in x.unbind(1):
            state = cell(step, state)
        return state[which] if isinstance(state, tuple) else state

    def by_layer(x):
        state = first(x)
        state = (
            tuple(each[None] for each in state) if isinstance(state, tuple) else None if state is None else state[None]
        )
        _, last = layer(x, state)
        return last[which][0] if isinstance(last, tuple) else last[0]

    input, start = drawn(2, 5, 3), drawn(2, 4, seed=5)
    of_layer = handed_back(by_layer, input, relevance=start)
    of_cells = handed_back(by_cells, input, relevance=start)
    for ours, theirs in zip(of_cells[:4], of_layer[:4], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "function, degree", [(lambda x: x.norm(dim=1), 1), (lambda x: x.std(1), 1), (lambda x: x.var(1), 2)]
)
def test_a_norm_and_a_deviation_conserve(function, degree):
    """By the slope of each value, which a difference quotient has as well."""
    input = drawn(2, 5)
    found, _, _, output, relevance = handed_back(function, input)
    torch.testing.assert_close(found.sum(1), relevance * output / torch.from_numpy(stable(output)))
    for place in range(5):
        step = torch.zeros(5).double()
        step[place] = 1e-6
        slope = (function(input + step) - function(input - step)) / 2e-6
        torch.testing.assert_close(
            found[:, place], input[:, place] * slope * relevance / output / degree, rtol=1e-4, atol=1e-6
        )


def test_constants_beside_values_keep_their_relevance():
    """As the class token of a transformer; its clips lie in the first dimension."""
    token = drawn(1, 1, 4, seed=3)
    for function in (
        lambda x: torch.cat([token.expand(2, 1, 4), x], 1),
        lambda x: torch.stack([token[:, 0].expand(2, 4), x[:, 0], x[:, 1]], 1),
        lambda x: torch.where(torch.tensor([True, False, False])[:, None], token, F.pad(x, (0, 0, 1, 0))),
    ):
        found, kept, _, _, relevance = handed_back(function, drawn(2, 2, 4))
        torch.testing.assert_close(found, relevance[:, 1:])
        torch.testing.assert_close(kept, relevance[:, 0].sum(1))


def test_relevance_of_nothing_is_said():
    """Outputs that nothing contributes to: of silence, under the epsilon rule and under z-plus."""
    input = drawn(2, 3, 4)
    input[1] = 0
    layer = nn.Conv1d(3, 2, 1, bias=False).double().requires_grad_(False)
    for composite in (epsilon(), plus()):
        found, _, unshared, _, relevance = handed_back(layer, input.abs(), composite)
        assert not found[1].any() and torch.allclose(unshared[1], relevance[1].sum())
        assert torch.allclose(found[0].sum() + unshared[0], relevance[0].sum(), rtol=1e-4)
    found, _, unshared, _, relevance = handed_back(lambda x: x.mean(-1), input)
    assert torch.allclose(unshared, torch.stack([torch.zeros(()).double(), relevance[1].sum()]))


# ---- normalisation


def made(module: nn.Module) -> nn.Module:
    """A module with drawn weights and statistics, in evaluation."""
    for number, tensor in enumerate([*module.parameters(), *module.buffers()]):
        if tensor.is_floating_point():
            tensor.data = drawn(*tensor.shape, seed=number + 20).to(tensor)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.abs_().add_(0.1)
    return module.double().eval().requires_grad_(False)


@pytest.mark.parametrize("composite", [epsilon(), epsilon(uses_bias=False), plus()])
@pytest.mark.parametrize(
    "layer, norm, shape",
    [
        (nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), (3, 8)),
        (nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4), (2, 5, 5)),
        (nn.Linear(5, 4), nn.BatchNorm1d(4), (5,)),
        (nn.ConvTranspose1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (4, 5)),
    ],
)
def test_batch_norm_behind_a_layer_is_part_of_it(composite, layer, norm, shape):
    """The same as the layer into which `torch.nn.utils.fusion` folds it."""
    layer, norm, input = made(layer), made(norm), drawn(2, *shape)
    network = nn.Sequential(layer, norm)
    if isinstance(layer, nn.Linear):
        fused = nn.utils.fusion.fuse_linear_bn_eval(layer, norm)
    elif layer.transposed and layer.groups > 1:  # fusion does not know groups here
        fused = nn.ConvTranspose1d(4, 6, 3, groups=2).double().requires_grad_(False)
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        fused.weight.data = layer.weight * factor.view(2, 3).repeat_interleave(2, 0)[..., None]
        fused.bias.data = (layer.bias - norm.running_mean) * factor + norm.bias
    else:
        fused = nn.utils.fusion.fuse_conv_bn_eval(layer, norm, layer.transposed)
    found, kept, lost, output, _ = handed_back(network, input, composite)
    expected, of_biases, unshared, same, _ = handed_back(fused.requires_grad_(False), input, composite)
    torch.testing.assert_close(same, output)
    torch.testing.assert_close((found, kept, lost), (expected, of_biases, unshared))


def test_batch_norm_behind_a_relu_is_affine_by_itself():
    """Folding it into the convolution before the ReLU would make another network, as in CREPE."""
    norm, input = made(nn.BatchNorm1d(3)), drawn(2, 3, 4)
    found, kept, _, output, relevance = handed_back(lambda x: norm(x.relu()), input)
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None].numpy()
    shift = norm.bias[:, None].numpy() - norm.running_mean[:, None].numpy() * factor
    x = input.clamp(min=0).numpy()
    quotient = relevance.numpy() / stable(factor * x + shift)
    np.testing.assert_allclose(output.numpy(), factor * x + shift)
    np.testing.assert_allclose(found.numpy(), factor * x * quotient)
    np.testing.assert_allclose(kept.numpy(), (shift * quotient).sum((1, 2)))


@pytest.mark.parametrize(
    "module, shape",
    [
        (nn.LayerNorm(6), (3, 6)), (nn.LayerNorm((3, 6), bias=False), (3, 6)), (nn.GroupNorm(2, 4), (4, 5)),
        (nn.InstanceNorm1d(3, affine=True), (3, 6)), (nn.LayerNorm(6, elementwise_affine=False), (6,)),
    ],
)  # fmt: skip
def test_a_norm_of_the_clip_is_affine_if_its_deviation_is_given(module, shape):
    module, input = made(module), drawn(2, *shape)
    found, kept, _, output, relevance = handed_back(module, input)
    torch.testing.assert_close(output, module(input))
    for clip, of_input, of_bias, given in zip(
        input.numpy(), found.numpy(), kept.numpy(), relevance.numpy(), strict=True
    ):
        groups = {nn.GroupNorm: 2, nn.InstanceNorm1d: 3}.get(type(module))
        rows = clip.reshape(groups, -1) if groups else clip.reshape(-1, math.prod(module.normalized_shape))
        count, size = rows.shape
        matrix = np.zeros((clip.size, clip.size))
        for row in range(count):  # x less the mean of its row, over the row's deviation
            part = slice(row * size, (row + 1) * size)
            matrix[part, part] = (np.eye(size) - 1 / size) / np.sqrt(rows[row].var() + module.eps)
        weight = np.ones(clip.shape) if module.weight is None else module.weight.numpy()
        bias = np.zeros(clip.shape) if getattr(module, "bias", None) is None else module.bias.numpy()
        if groups:
            weight, bias = weight[:, None], bias[:, None]
        weight, bias = (np.broadcast_to(each, clip.shape).ravel() for each in (weight, bias))
        expected, constant = by_matrix(weight[:, None] * matrix, bias, clip.ravel(), given.ravel())
        np.testing.assert_allclose(of_input.ravel(), expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(of_bias, constant, rtol=1e-7, atol=1e-9)


def test_the_root_mean_square_is_given():
    module = made(nn.RMSNorm(6))
    found, kept, _, _, relevance = handed_back(module, drawn(2, 3, 6))
    assert torch.equal(found, relevance) and not kept.any()


# ---- attention


def slow_attention(queries, keys, values, mask, relevance, way):
    """One head: relevance of queries, keys and values (L, D), by loops over the equations of AttnLRP and CP-LRP."""
    length, size = queries.shape
    scores = queries @ keys.T / math.sqrt(size) + mask
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    output, times = weights @ values, 2 if way == "taylor" else 1
    of = {name: np.zeros_like(queries) for name in ("queries", "keys", "values")}
    of_weights = np.zeros_like(weights)
    for i in range(length):
        for d in range(size):
            quotient = relevance[i, d] / stable(output[i, d]) / times
            for j in range(length):
                of["values"][j, d] += weights[i, j] * values[j, d] * quotient
                of_weights[i, j] += weights[i, j] * values[j, d] * quotient
    if way == "taylor":
        for i in range(length):
            for j in range(length):
                if np.isinf(scores[i, j]):
                    continue
                of_score = scores[i, j] * (of_weights[i, j] - weights[i, j] * of_weights[i].sum())
                product = queries[i] @ keys[j]
                for d in range(size):
                    share = queries[i, d] * keys[j, d] * of_score / stable(product) / 2
                    of["queries"][i, d] += share
                    of["keys"][j, d] += share
    return of["queries"], of["keys"], of["values"], output


@pytest.mark.parametrize("way", ["given", "taylor"])
@pytest.mark.parametrize("masked", ["no", "causal", "mask", "numbers"])
def test_attention_by_loops(way, masked):
    input = drawn(2, 3, 4, 5)  # clips, of queries, keys and values, length, size
    mask = torch.zeros(4, 4).double()
    options = {}
    if masked == "causal":
        options, mask = {"is_causal": True}, torch.full((4, 4), -torch.inf).double().triu(1)
    elif masked == "mask":
        seen = torch.tensor([1, 1, 0, 1]).bool().expand(4, 4)
        options, mask = {"attn_mask": seen}, mask.masked_fill(~seen, -torch.inf)
    elif masked == "numbers":
        mask = drawn(4, 4, seed=5)
        options = {"attn_mask": mask}

    def fused(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x[:, 0], x[:, 1], x[:, 2], **options)

    def written_out(x: Tensor) -> Tensor:
        scores = x[:, 0] @ x[:, 1].transpose(-2, -1) / math.sqrt(5)
        if masked != "no":
            scores = scores.masked_fill(mask.isinf(), -torch.inf)
        return F.softmax(scores, dim=-1) @ x[:, 2]

    ways = [fused] if masked == "numbers" else [fused, written_out]
    for function in ways:
        found, _, _, output, relevance = handed_back(function, input, epsilon(way))
        for clip, of_input, of_output, given in zip(
            input.numpy(), found.numpy(), output.numpy(), relevance.numpy(), strict=True
        ):
            *expected, values = slow_attention(*clip, mask.numpy(), given, way)
            np.testing.assert_allclose(of_output, values, rtol=1e-9)
            np.testing.assert_allclose(of_input, np.stack(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("way", ["given", "taylor"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_is_that_of_its_parts(way, batch_first, need_weights):
    """Three dense layers, each head by loops, and a dense layer."""
    module = nn.MultiheadAttention(4, 2, batch_first=batch_first).double().eval().requires_grad_(False)
    module.in_proj_bias.data, module.out_proj.bias.data = drawn(12, seed=3), drawn(4, seed=4)
    input = drawn(2, 3, 4)

    def function(x: Tensor) -> Tensor:
        x = x if batch_first else x.transpose(0, 1)
        output = module(x, x, x, need_weights=need_weights)[0]
        return output if batch_first else output.transpose(0, 1)

    found, _, _, output, relevance = handed_back(function, input, epsilon(way))
    torch.testing.assert_close(output, function(input))
    weights, biases = module.in_proj_weight.numpy().reshape(3, 4, 4), module.in_proj_bias.numpy().reshape(3, 4)
    for clip, of_input, given in zip(input.numpy(), found.numpy(), relevance.numpy(), strict=True):
        parts = [clip @ weight.T + bias for weight, bias in zip(weights, biases, strict=True)]
        split = [[part[:, half] for part in parts] for half in HALVES]
        heads = np.concatenate([slow_attention(*each, 0, np.zeros((3, 2)), way)[3] for each in split], 1)
        last = module.out_proj.weight.numpy(), module.out_proj.bias.numpy()
        of_heads = np.stack([by_matrix(*last, head, each)[0] for head, each in zip(heads, given, strict=True)])
        expected = np.zeros_like(clip)
        of_parts = [
            np.concatenate(each, 1)
            for each in zip(
                *[slow_attention(*(p[:, s] for p in parts), 0, of_heads[:, s], way)[:3] for s in HALVES], strict=True
            )
        ]
        for weight, bias, of_part in zip(weights, biases, of_parts, strict=True):
            expected += np.stack([by_matrix(weight, bias, x, r)[0] for x, r in zip(clip, of_part, strict=True)])
        np.testing.assert_allclose(of_input, expected, rtol=1e-4, atol=1e-7)


HALVES = (slice(0, 2), slice(2, 4))


def test_weights_of_attention_pooling_are_gates():
    """Pooling over time with learned weights: `sum_t softmax(w x)_t * x_t`."""
    weight = drawn(4, 1, seed=3)
    input = drawn(2, 6, 4)
    found, _, _, output, relevance = handed_back(lambda x: ((x @ weight).softmax(1) * x).sum(1), input)
    gates = (input @ weight).softmax(1)
    quotient = relevance.numpy() / stable(output)
    np.testing.assert_allclose(found.numpy(), (gates * input).numpy() * quotient[:, None], rtol=1e-9)
    same, _, _, _, _ = handed_back(lambda x: torch.einsum("bto,btc->bc", (x @ weight).softmax(1), x), input)
    torch.testing.assert_close(same, found)


# ---- recurrence


def slow_cells(kind, layer, x, relevance, suffix):
    """One layer in one direction: relevance of the input (T, I), and what is kept, step by step."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    zeros = torch.zeros(getattr(layer, f"weight_hh_{suffix}").shape[0]).double()
    w, u, b, c = (getattr(layer, f"{name}_{suffix}", zeros).numpy() for name in names)
    size = u.shape[1]
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    h, cell, steps = np.zeros(size), np.zeros(size), []
    for value in x:
        a, s = w @ value + b, u @ h + c
        if kind == "gru":
            r, z = (sigmoid(a[g * size : (g + 1) * size] + s[g * size : (g + 1) * size]) for g in (0, 1))
            pre = a[2 * size :] + r * s[2 * size :]
            new = (1 - z) * np.tanh(pre) + z * h
            steps.append({"x": value, "h": h, "r": r, "pre": pre, "parts": ((1 - z) * np.tanh(pre), z * h), "new": new})
        elif kind == "lstm":
            i, f, g, o = (a + s).reshape(4, size)
            cells = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            new = sigmoid(o) * np.tanh(cells)
            steps.append(
                {
                    "x": value,
                    "h": h,
                    "r": 1,
                    "pre": g,
                    "parts": (sigmoid(i) * np.tanh(g), sigmoid(f) * cell),
                    "new": cells,
                }
            )
            cell = cells
        else:
            new = np.tanh(a + s) if kind == "rnn_tanh" else np.maximum(a + s, 0)
            steps.append({"x": value, "h": h, "r": 1, "pre": a + s, "parts": None, "new": new})
        h = new
    gate = {"gru": 2, "lstm": 2}.get(kind, 0)
    rows = slice(gate * size, (gate + 1) * size)
    found, kept, of_state, of_cell = np.zeros_like(x), 0.0, np.zeros(size), np.zeros(size)
    for t in reversed(range(len(x))):
        step = steps[t]
        own = relevance[t] + of_state + of_cell
        if step["parts"] is None:
            of_candidate, before = own, np.zeros(size)
        else:
            of_candidate, before = (part / stable(step["new"]) * own for part in step["parts"])
        quotient = of_candidate / stable(step["pre"])
        found[t] = step["x"] * (w[rows].T @ quotient)
        kept += ((b[rows] + step["r"] * c[rows]) * quotient).sum()
        through = step["h"] * (u[rows].T @ (step["r"] * quotient))
        of_state, of_cell = (through, before) if kind == "lstm" else (through + before, np.zeros(size))
    return found, kept


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrence_is_that_of_unrolled_cells(kind, bidirectional, batch_first, bias):
    torch.manual_seed(0)
    make = {"gru": nn.GRU, "lstm": nn.LSTM}.get(kind, nn.RNN)
    options = {"nonlinearity": kind[4:]} if make is nn.RNN else {}
    layer = make(3, 4, bidirectional=bidirectional, batch_first=batch_first, bias=bias, **options)
    layer = layer.double().requires_grad_(False)
    input = drawn(2, 6, 3)

    def function(x: Tensor) -> Tensor:
        output = layer(x if batch_first else x.transpose(0, 1))[0]
        return output if batch_first else output.transpose(0, 1)

    found, kept, _, output, relevance = handed_back(function, input)
    torch.testing.assert_close(output, function(input))
    for clip, of_input, constant, given in zip(
        input.numpy(), found.numpy(), kept.numpy(), relevance.numpy(), strict=True
    ):
        expected, bias_share = slow_cells(kind, layer, clip, given[:, :4], "l0")
        if bidirectional:
            back, other = slow_cells(kind, layer, clip[::-1], given[::-1, 4:], "l0_reverse")
            expected, bias_share = expected + back[::-1], bias_share + other
        np.testing.assert_allclose(of_input, expected, rtol=1e-6, atol=1e-8)
        if batch_first:  # otherwise clips do not lie where `handed_back` has them
            np.testing.assert_allclose(constant, bias_share, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("make", [nn.GRU, nn.LSTM])
def test_several_recurrent_layers_and_the_last_state(make):
    """Two layers are one behind the other; the last states are the outputs of the last steps."""
    torch.manual_seed(0)
    both = (
        make(3, 4, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5)
        .double()
        .eval()
        .requires_grad_(False)
    )
    one, two = (make(size, 4, bidirectional=True, batch_first=True).double().requires_grad_(False) for size in (3, 8))
    for layer, number in ((one, 0), (two, 1)):
        for name, parameter in layer.named_parameters():
            parameter.data = getattr(both, name.replace("l0", f"l{number}"))
    input = drawn(2, 5, 3)
    found, kept, _, output, _ = handed_back(lambda x: both(x)[0], input)
    expected, of_biases, _, same, _ = handed_back(lambda x: two(one(x)[0])[0], input)
    torch.testing.assert_close((output, found, kept), (same, expected, of_biases))

    def last(x: Tensor) -> Tensor:
        states = both(x)[1]
        states = states[0] if make is nn.LSTM else states
        return torch.cat([states[-2], states[-1]], 1)

    def steps(x: Tensor) -> Tensor:
        outputs = two(one(x)[0])[0]
        return torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], 1)

    torch.testing.assert_close(handed_back(last, input)[:2], handed_back(steps, input)[:2])
