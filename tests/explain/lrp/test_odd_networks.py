"""Networks as people write them, on which LRP went wrong: conservation, equal forms of one network, and sentences."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchaudio.transforms import AmplitudeToDB, MelScale, Spectrogram

from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.attribution.lrp import LRP
from auscult.mistake import Mistake

TARGET = torch.tensor([2, 0])


def clips(steps: int = 12, seed: int = 1) -> Tensor:
    return torch.randn(2, 4, steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Net(nn.Module):
    """Some layers, and a forward pass (B, 4, T) -> (B, 3)."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.way = forward
        self.conv, self.conv2 = nn.Conv1d(4, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.bn, self.bn2, self.lin, self.fc = nn.BatchNorm1d(6), nn.BatchNorm1d(6), nn.Linear(4, 6), nn.Linear(6, 3)
        self.shortcut, self.lstm = nn.Sequential(), nn.LSTM(4, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.memory, self.question = nn.Parameter(torch.randn(1, 5, 6)), nn.Parameter(torch.randn(1, 1, 6))
        self.register_buffer("buffer", torch.zeros(9, 6, 12))
        self.scale = torch.full((6, 1), 2.0, dtype=torch.float64, requires_grad=True)  # no parameter
        layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


def built(forward) -> Net:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = Net(forward).double().eval()
    for norm in (network.bn, network.bn2):
        norm.running_mean.normal_()
        nn.init.normal_(norm.bias)
    return network


def end(net: Net, hidden: Tensor) -> Tensor:
    return net.fc(hidden.mean(-1))


def pre_activation(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x)
    return end(net, hidden + net.conv2(F.relu(net.bn(hidden))))


def two_norms(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x)
    return end(net, net.bn(hidden) + net.bn2(hidden) + hidden)


def empty_shortcut(net: Net, x: Tensor) -> Tensor:
    hidden = F.relu(net.conv(x))
    hidden += net.shortcut(hidden)
    return end(net, hidden)


def overwritten(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x) * 1
    hidden[:, :, 0] = 2.0
    hidden[:, 1, 2:4] = hidden[:, 2, 2:4]
    return end(net, hidden)


def into_ones(net: Net, x: Tensor) -> Tensor:
    ones = torch.ones(len(x), 6, 12, dtype=x.dtype)
    ones[:, :, :8] = net.conv(x)[:, :, :8]
    return end(net, ones)


def into_buffer(net: Net, x: Tensor) -> Tensor:
    net.buffer.zero_()
    rows = net.buffer[: len(x)].clone()
    rows[:, :5] = net.conv(x)[:, :5]
    return end(net, rows)


def half_in_place(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x)
    hidden[:, :3] += hidden[:, 3:]
    return end(net, hidden)


def masked_attention(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x).mT
    mask = torch.full((12, 12), -math.inf, dtype=x.dtype).triu(1)
    return end(net, (((hidden @ hidden.mT) / 3 + mask).softmax(-1) @ hidden).mT)


def in_place_output(net: Net, x: Tensor) -> Tensor:
    logits = end(net, net.conv(x))
    logits.div_(2.0)
    return logits


def padded_encoder(net: Net, x: Tensor) -> Tensor:
    padding = torch.arange(12).expand(len(x), 12) > 8
    return end(net, net.encoder(net.conv(x).mT, src_key_padding_mask=padding)[:, :9].mT)


def by_cells(cell):
    """The steps one after the other, through a cell with new weights."""

    def forward(net: Net, x: Tensor) -> Tensor:
        torch.manual_seed(1)
        own, state = cell(4, 6).to(x.dtype).requires_grad_(False), None
        for step in range(x.shape[-1]):
            state = own(x[:, :, step], state)
        return net.fc(state[0] if isinstance(state, tuple) else state)

    return forward


def mel_inside(net: Net, x: Tensor) -> Tensor:
    """Front ends as people build them into their networks."""
    power = Spectrogram(n_fft=8, hop_length=4, normalized=True).double()(x)  # (B, 4, 5, 4)
    bands = MelScale(n_mels=3, sample_rate=8000, n_stft=5).double()(power)
    return net.fc(net.lin(AmplitudeToDB(top_db=60)(bands).mean(-1).mT).mean(1))


CONSERVE = {
    "a GRU's cells": by_cells(nn.GRUCell),
    "an LSTM's cells": by_cells(nn.LSTMCell),
    "an RNN's cells": by_cells(nn.RNNCell),
    "a mel spectrogram": mel_inside,
    "magnitudes": lambda net, x: end(net, net.bn(net.conv(torch.fft.rfft(x, norm="ortho").abs()))),
    "both parts": lambda net, x: end(net, net.conv(torch.cat([torch.fft.fft(x).real, torch.fft.fft(x).imag], -1))),
    "there and back": lambda net, x: end(net, net.conv(torch.fft.irfft(torch.fft.rfft(x)[..., :4] * 0.5, 12))),
    "filtered": lambda net, x: end(
        net, net.conv(torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(net.memory[:, :4, :1], 12) * 1j, 12))
    ),
    "a masked spectrum": lambda net, x: end(
        net, net.conv(torch.fft.irfft(torch.fft.rfft(x) * torch.sigmoid(x[..., :7]), 12))
    ),
    "between two": lambda net, x: end(net, torch.lerp(net.conv(x), net.conv2(net.conv(x)), 0.3)),
    "a product is added": lambda net, x: end(
        net, torch.addcmul(net.conv(x), net.conv(x), net.conv2(net.conv(x)).sigmoid(), value=0.5)
    ),
    "a quotient is added": lambda net, x: end(net, torch.addcdiv(net.conv(x), net.conv(x), 1 + net.conv(x) ** 2)),
    "contracted": lambda net, x: net.fc(torch.tensordot(net.conv(x), torch.ones(12).double(), dims=([2], [0]))),
    "vectors": lambda net, x: net.fc(torch.stack([torch.mv(clip, torch.ones(12).double()) for clip in net.conv(x)])),
    "inner products": lambda net, x: net.fc(torch.inner(net.conv(x), torch.ones(12).double())),
    "variance and mean": lambda net, x: net.fc(
        torch.var_mean(net.conv(x), -1)[0] + torch.std_mean(net.conv(x), dim=-1, keepdim=True)[1][..., 0]
    ),
    "beside each other": lambda net, x: net.fc(
        torch.hstack([net.conv(x).mean(-1)[:, :4], torch.ones(len(x), 2).double()])
    ),
    "behind each other": lambda net, x: end(net, torch.dstack([net.conv(x), torch.ones(len(x), 6, 1).double()])),
    "likenesses": lambda net, x: net.fc(F.cosine_similarity(net.conv(x), net.memory[:, :1].mT.repeat(1, 1, 12), -1)),
    "distances": lambda net, x: net.fc(
        torch.cdist(net.conv(x).mean(-1)[:, None], net.memory.repeat(1, 2, 1)[:, :6])[:, 0]
    ),
    "two inputs": lambda net, x: F.bilinear(
        net.conv(x).mean(-1), net.conv(x).amax(-1), net.memory.flatten()[:18].view(3, 6, 1) * torch.ones(6).double()
    ),
    "instances by training's statistics": lambda net, x: end(
        net, F.instance_norm(net.conv(x), net.bn.running_mean, net.bn.running_var, use_input_stats=False)
    ),
    "quantiles": lambda net, x: net.fc(net.conv(x).quantile(0.4, dim=-1)),
    "pre-activation": pre_activation,
    "two norms of one layer": two_norms,
    "two norms of a dense layer": lambda net, x: net.fc(net.bn(net.lin(x[..., 0])) + net.bn2(net.lin(x[..., 0]))),
    "an empty shortcut": empty_shortcut,
    "constants at a place": overwritten,
    "into ones": into_ones,
    "into a buffer": into_buffer,
    "half of it in place": half_in_place,
    "filled": lambda net, x: end(net, net.conv(x).masked_fill(torch.arange(12) > 6, 1.5)),
    "not below": lambda net, x: end(net, torch.maximum(net.conv(x), torch.tensor(0.7, dtype=x.dtype))),
    "where, as a method": lambda net, x: end(net, net.conv(x).where(torch.arange(12) > 3, 0.5)),
    "whole numbers beside": lambda net, x: end(
        net, torch.cat([net.conv(x)[:, :5], torch.arange(12).expand(len(x), 1, 12)], 1)
    ),
    "a mask": masked_attention,
    "a memory": lambda net, x: net.fc(
        F.scaled_dot_product_attention(net.conv(x).mT, net.memory, net.memory).mean(1)
    ),
    "a question": lambda net, x: net.fc(
        net.attention(
            net.question.expand(len(x), 1, 6), net.conv(x).mT, net.conv(x).mT,
            key_padding_mask=torch.arange(12).expand(len(x), 12) > 8,
        )[0][:, 0]
    ),
    "a leaf that is no parameter": lambda net, x: end(net, net.conv(x) * net.scale + net.scale),
    "outputs in place": in_place_output,
    "a padding mask": padded_encoder,
    "keywords": lambda net, x: net.fc(
        torch.matmul(input=torch.add(input=net.conv(x), other=torch.ones(1).double()), other=torch.ones(12, 1).double())
        .squeeze(-1)
    ),
    "padded with a number": lambda net, x: end(net, torch.constant_pad_nd(net.conv(x), (1, 1), 2.0)),
    "asks for a gradient": lambda net, x: end(net, net.conv(x).requires_grad_()),
    "straight through": lambda net, x: end(net, net.conv(x) + (torch.round(net.conv(x)) - net.conv(x)).detach()),
    "levels": lambda net, x: end(net, 10 ** (net.conv(x) / 20)),
}  # fmt: skip


@pytest.mark.parametrize("what", CONSERVE)
def test_relevance_adds_up_and_does_not_depend_on_the_batch(what):
    network, input = built(CONSERVE[what]), clips()
    with torch.no_grad():
        expected = network(input)
    attribution = LRP("epsilon", epsilon=1e-9)
    relevance = attribution(network, input, TARGET)
    biases, unshared = attribution.biases, attribution.unshared
    logit = expected.gather(1, TARGET[:, None])[:, 0]
    assert ((relevance.sum((1, 2)) + biases + unshared - logit) / logit).abs().max() < 1e-4
    alone = attribution(network, input[:1], TARGET[:1])
    torch.testing.assert_close(alone[0], relevance[0], rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(attribution.biases[0], biases[0], rtol=1e-5, atol=1e-8)
    assert not any("lrp_note" in tensor.__dict__ for tensor in network.state_dict(keep_vars=True).values())


@pytest.mark.parametrize("what", ["pre-activation", "two norms of one layer", "half of it in place", "into ones"])
def test_epsilon_is_gradient_times_input(what):
    network, input = built(CONSERVE[what]), clips()
    found = LRP("epsilon", epsilon=1e-12)(network, input, TARGET)
    torch.testing.assert_close(found, GradientXInput()(network, input, TARGET), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
def test_quiet_signals_lose_nothing(size):
    """A log-energy front end inside the network, of ordinary quiet audio."""
    network = built(lambda net, x: end(net, torch.log(F.avg_pool1d(net.conv(x) ** 2, 3) + 1e-10)))
    for parameter in (network.conv.bias,):
        nn.init.zeros_(parameter)
    attribution = LRP("epsilon", epsilon=1e-12)
    input = clips() * size
    relevance = attribution(network, input, TARGET)
    logit = network(input).gather(1, TARGET[:, None])[:, 0].detach()
    missing = (relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit) / logit
    assert missing.abs().max() < 1e-4


@pytest.mark.parametrize("composite", ["epsilon_plus_flat", "box"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            lambda net, x: end(net, net.conv2(net.conv(x)[:, :, None].squeeze(2))),
            lambda net, x: end(net, net.conv2(torch.squeeze(input=net.conv(x)[:, :, None], dim=2))),
        ),
        (
            lambda net, x: end(net, net.conv2(torch.einsum("oc,bct->bot", net.lin.weight, x))),
            lambda net, x: end(net, net.conv2(net.lin.weight @ x)),
        ),
    ],
)
def test_equal_forms_of_a_network_have_equal_relevance(composite, one, other):
    found = [LRP(composite)(built(forward), clips(), TARGET) for forward in (one, other)]
    torch.testing.assert_close(found[0], found[1])


def test_a_recurrent_layer_is_a_first_layer():
    """What follows it has no rule for first layers, which would be blind to the class."""
    network = built(lambda net, x: net.fc(net.lstm(x.mT)[0][:, -1]))
    of_flat, of_plus = (LRP(name)(network, clips(), TARGET) for name in ("epsilon_plus_flat", "epsilon_plus"))
    torch.testing.assert_close(of_flat, of_plus)


@pytest.mark.parametrize("steps", [7, 9, 10, 12])
def test_silence_does_not_hide_where_clips_lie(steps):
    """With time in the first dimension, and two thirds of a clip silent; and of a first call with silence alone."""
    network = built(lambda net, x: net.fc(F.relu(net.lin(x.permute(2, 0, 1))).mean(0)))
    input = clips(steps)
    input[:, :, : 2 * steps // 3] = 0
    attribution = LRP("epsilon", epsilon=1e-9)
    attribution(network, torch.zeros_like(input), TARGET)
    relevance = attribution(network, input, TARGET)
    logit = network(input).gather(1, TARGET[:, None])[:, 0].detach()
    assert ((relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit) / logit).abs().max() < 1e-4


def test_networks_of_one_batch_size_are_tried_as_they_are():
    network = built(lambda net, x: end(net, net.conv(x).view(2, 6, 12)))
    attribution = LRP("epsilon")
    relevance = attribution(network, clips(), TARGET)
    logit = network(clips()).gather(1, TARGET[:, None])[:, 0].detach()
    assert ((relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit) / logit).abs().max() < 1e-4


def test_a_compiled_part_is_looked_into():
    network = built(CONSERVE["pre-activation"])
    expected = LRP()(network, clips(), TARGET)
    network.conv2 = torch.compile(network.conv2, backend="eager")
    torch.testing.assert_close(LRP()(network, clips(), TARGET), expected)


def test_an_instance_keeps_its_own_forward():
    network = built(lambda net, x: end(net, net.shortcut(net.conv(x))))
    network.shortcut.relevance_of_input = lambda input, relevance: relevance
    own = network.shortcut.forward = lambda x: 3 * x
    LRP()(network, clips(), TARGET)
    assert network.shortcut.forward is own


def clamped_view(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x)
    hidden.view(len(x), -1).clamp_(max=500.0)
    return end(net, hidden)


def clamped_without_gradient(net: Net, x: Tensor) -> Tensor:
    hidden = net.conv(x)
    with torch.no_grad():
        hidden.clamp_(min=0)
    return end(net, hidden)


def half_inside(net: Net, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return end(net, net.conv(x))


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (
            lambda net, x: end(net, (torch.fft.fft(net.conv(x)) * torch.fft.fft(net.conv(x)).conj()).real),
            "applies conj.*; network .* multiplies computed complex numbers",
        ),
        (lambda net, x: end(net, torch.fft.fft(net.conv(x)).tanh().abs()), "applies tanh to complex numbers"),
        (
            lambda net, x: end(net, checkpoint(net.conv, x, use_reentrant=False)),
            "fails while its operations are watched",
        ),
        (
            lambda net, x: end(net, checkpoint(net.conv, x, use_reentrant=True)),
            "fails while its operations are watched",
        ),
        (clamped_view, "uses a tensor after a view of it was changed in place"),
        (clamped_without_gradient, "applies clamp_ in place, without gradients"),
        (lambda net, x: (end(net, net.conv(x)), x), "the network gives tuple; let it give its logits alone"),
        (lambda net, x: net.conv(x).mean((1, 2)), r"the network gives \(5,\); let it give its logits alone"),
        (lambda net, x: end(net, net.conv(x)).detach(), "the network's logits have no gradient"),
    ],
)
def test_a_sentence_for_each(forward, says):
    with pytest.raises(Mistake, match=says):
        LRP()(built(forward), clips(), TARGET)


def test_half_precision_is_refused():
    with pytest.raises(Mistake, match=r"weights are torch\.bfloat16, .* network\.float\(\)"):
        LRP()(built(CONSERVE["levels"]).to(torch.bfloat16), clips(), TARGET)
    with pytest.raises(Mistake, match="fails while its operations are watched"):
        LRP()(built(half_inside).float(), clips().float(), TARGET)


# ---- the same network, written in two ways: the same relevance


def rows(net, x):
    """Attention by hand over the frames of a convolution."""
    return net.conv(x).mT  # (B, 12, 6)


def attended(change):
    def run(net, x):
        frames = rows(net, x)
        weights = change((frames @ frames.mT / 6**0.5).softmax(-1))
        return net.fc((weights @ frames).mean(1))

    return run


def gated(change):
    return lambda net, x: end(net, change(net.conv(x), net.conv(x).mean(-1, keepdim=True).sigmoid()))


def normed(change):
    return lambda net, x: end(net, change(net.conv(x)).relu())


HIDDEN = torch.zeros(12, 12, dtype=torch.bool)
PAIRS = {
    "RMS norm": (
        normed(lambda h: F.rms_norm(h, (12,), eps=1e-5)),
        normed(lambda h: h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)),
    ),
    "layer norm": (
        normed(lambda h: F.layer_norm(h, (12,))),
        normed(lambda h: (h - h.mean(-1, True)) * (h.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5),
    ),
    "a quotient": (
        normed(lambda h: h / (1 + h.abs())), normed(lambda h: h * (1 / (1 + h.abs()))),
    ),
    "hardswish": (normed(F.hardswish), normed(lambda h: h * F.relu6(h + 3) / 6)),
    "gelu": (normed(F.gelu), normed(lambda h: h * 0.5 * (1 + torch.erf(h / 2**0.5)))),
    "a hard gate": (
        lambda net, x: end(net, net.conv(x) * F.hardsigmoid(net.conv(x))),
        lambda net, x: end(net, net.conv(x) * (F.relu6(net.conv(x) + 3) / 6)),
    ),
    "two gates": (gated(lambda h, g: h * g * g), gated(lambda h, g: h * (g * g))),
    "a mean of gates": (gated(lambda h, g: h * g), gated(lambda h, g: h * ((g + g) / 2))),
    "gates beside each other": (
        gated(lambda h, g: h * g), gated(lambda h, g: h * torch.cat([g[:, :2], g[:, 2:]], 1)),
    ),
    "a gate that is stretched": (
        gated(lambda h, g: h * g), gated(lambda h, g: h * F.interpolate(g, size=12, mode="linear")),
    ),
    "hidden weights": (attended(lambda w: w), attended(lambda w: w.masked_fill(HIDDEN, 0.0))),
    "weights where": (attended(lambda w: w), attended(lambda w: torch.where(HIDDEN, 0.0, w))),
    "padded weights": (attended(lambda w: w), attended(lambda w: F.pad(w, (0, 1))[..., :12])),
    "log-softmax": (
        lambda net, x: end(net, net.conv(x)).log_softmax(-1), lambda net, x: end(net, net.conv(x)).softmax(-1).log(),
    ),
    "a head that is moved": (
        lambda net, x: end(net, net.conv(x)).sigmoid(),
        lambda net, x: end(net, net.conv(x))[:, :, None].sigmoid().squeeze(-1).clamp(0, 1)[:, :],
    ),
    "log-sigmoid": (
        lambda net, x: end(net, net.conv(x)).sigmoid(), lambda net, x: F.logsigmoid(end(net, net.conv(x))),
    ),
    "axis": (lambda net, x: net.fc(net.conv(x).amax(dim=-1)), lambda net, x: net.fc(net.conv(x).max(axis=-1)[0])),
    "differences": (
        lambda net, x: end(net, net.conv(F.pad(x, (1, 0))[..., 1:] - F.pad(x, (1, 0))[..., :-1])),
        lambda net, x: end(net, net.conv(torch.diff(x, prepend=torch.zeros_like(x[..., :1])))),
    ),
    "names elsewhere": (
        lambda net, x: end(net, torch.sigmoid(net.conv(x)) + torch.matmul(torch.ones(6, 6).double(), net.conv(x))),
        lambda net, x: end(
            net, torch.special.expit(net.conv(x)) + torch.linalg.matmul(torch.ones(6, 6).double(), net.conv(x))
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("composite", ["epsilon", pytest.param("cp_lrp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", PAIRS)
def test_how_it_is_written_does_not_matter(what, composite):
    one, other = (LRP(composite, epsilon=1e-9)(built(pair), clips(), TARGET) for pair in PAIRS[what])
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7 * float(one.abs().max()))


@pytest.mark.parametrize("composite", ["attnlrp", "cp_lrp"])
def test_weights_and_values_share_however_they_are_multiplied(composite):
    def pooled(product):
        return lambda net, x: net.fc(product(net.fc(rows(net, x))[..., :1].softmax(1), rows(net, x)))

    ways = [
        lambda w, h: (w * h).sum(1), lambda w, h: (w.mT @ h)[:, 0], lambda w, h: torch.einsum("btk,btc->bc", w, h),
        lambda w, h: torch.bmm(w.mT, h).squeeze(1),
    ]  # fmt: skip
    first, *others = (LRP(composite, epsilon=1e-9)(built(pooled(way)), clips(), TARGET) for way in ways)
    for other in others:
        torch.testing.assert_close(first, other, rtol=1e-5, atol=1e-8)


def test_attnlrp_conserves_where_there_is_no_softmax():
    attribution = LRP("attnlrp", epsilon=1e-9)
    assert not attribution.conserves and attribution.loses_relevance
    attribution(built(gated(lambda h, g: h * g)), clips(), TARGET)
    assert attribution.conserves and not attribution.loses_relevance
    attribution(built(attended(lambda w: w)), clips(), TARGET)
    assert not attribution.conserves


def test_a_power_spectrogram_may_be_what_is_explained():
    """The trial's clips stay where logarithms and roots are numbers."""
    for function in (lambda x: (x + 1e-6).log(), torch.sqrt, lambda x: x**0.3):
        network = built(lambda net, x, function=function: end(net, net.conv(function(x))))
        attribution, power = LRP("epsilon", epsilon=1e-9), clips().abs()
        relevance = attribution(network, power, TARGET)
        logit = network(power).gather(1, TARGET[:, None])[:, 0]
        assert (relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit).abs().max() < 1e-6


def test_a_row_of_attention_that_sees_nothing_is_zero():
    mask = torch.ones(12, 12, dtype=torch.bool).tril(-1)
    network = built(lambda net, x: net.fc(F.scaled_dot_product_attention(*[rows(net, x)] * 3, attn_mask=mask).mean(1)))
    for composite in ("epsilon", "attnlrp"):
        assert LRP(composite)(network, clips(), TARGET).isfinite().all()


def test_attention_with_a_computed_mask_is_attention_written_out():
    def written(net, x):
        frames = rows(net, x)
        weights = (frames @ frames.mT / 6**0.5 + frames.mean(-1)[:, None]).softmax(-1)
        return net.fc((weights @ frames).mean(1))

    def function(net, x):
        frames = rows(net, x)
        bias = frames.mean(-1)[:, None].expand(-1, 12, -1)
        return net.fc(F.scaled_dot_product_attention(frames, frames, frames, attn_mask=bias).mean(1))

    def added(net, x):
        frames = rows(net, x)
        bias = frames.mean(-1)[:, None].expand(-1, 12, -1)
        return net.fc((torch.baddbmm(bias, frames, frames.mT, alpha=6**-0.5).softmax(-1) @ frames).mean(1))

    for composite in ("epsilon", "attnlrp"):
        first, *others = (
            LRP(composite, epsilon=1e-9)(built(way), clips(), TARGET) for way in (written, function, added)
        )
        for other in others:
            torch.testing.assert_close(first, other, rtol=1e-5, atol=1e-8)


def test_an_expert_that_no_clip_is_sent_to():
    def mixed(net, x):
        frames = net.conv(x)
        output = torch.zeros_like(frames)
        for number, chosen in enumerate((x.mean((1, 2)) > 1e3, x.mean((1, 2)) <= 1e3)):
            output[chosen] = net.conv2(frames[chosen]) * (number + 1)
        return end(net, output)

    network = built(mixed)
    for composite in ("epsilon", "epsilon_plus"):
        assert LRP(composite)(network, clips(), TARGET).isfinite().all()


def test_quiet_input_keeps_its_relevance_if_epsilon_is_lower():
    network = built(lambda net, x: net.fc(F.conv1d(x, net.conv.weight).relu().mean(-1) * 1e5))
    quiet = 1e-5 * clips()
    logit = network(quiet).gather(1, TARGET[:, None])[:, 0]
    attribution = LRP("epsilon_plus", epsilon=1e-12)
    relevance = attribution(network, quiet, TARGET)
    total = relevance.sum((1, 2)) + attribution.biases + attribution.unshared
    torch.testing.assert_close(total, logit, rtol=1e-5, atol=1e-8)


def test_whose_constants_they_are_is_said_or_not_a_number():
    class Clips(nn.Module):
        """A loop over clips whose tensors have as many rows as several clips."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rows, self.fc = nn.Linear(4, 10), nn.Linear(10, 3)
            self.constant = nn.Parameter(torch.randn(10, 1))
            self.double().eval()

        def forward(self, x):
            return self.fc(torch.stack([(self.rows(clip.mT).mT + self.constant).relu().mean(-1) for clip in x]))

    network, input = Clips(), torch.randn(2, 4, 12, dtype=torch.float64)
    logit = network(input).gather(1, TARGET[:, None])[:, 0]
    attribution = LRP("epsilon", epsilon=1e-9)
    attribution(network, input, TARGET)
    assert attribution.biases.isnan().all()
    for clip in range(2):  # of one clip, all constants are its own
        relevance = attribution(network, input[clip : clip + 1], TARGET[clip : clip + 1])
        assert abs(relevance.sum() + attribution.biases + attribution.unshared - logit[clip]) < 1e-6
    mixing = built(lambda net, x: end(net, net.conv((x - x.mean()) / x.std())))
    attribution(mixing, clips(), TARGET)
    assert attribution.biases.isnan().all()


def test_clips_of_another_length_have_a_trial_of_their_own():
    def cells(net, x):
        frames, state, states = net.conv(x), x.new_zeros(len(x), 6), []
        for number in range(frames.shape[-1]):
            state = torch.tanh(frames[..., number] + state)
            states.append(state)
        return net.fc((torch.stack(states) + torch.ones(6).double()).mean(0))

    network, attribution = built(cells), LRP("epsilon", epsilon=1e-9)
    for length in (12, 8):
        input = clips()[..., :length]
        relevance = attribution(network, input, TARGET)
        logit = network(input).gather(1, TARGET[:, None])[:, 0]
        assert (relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit).abs().max() < 1e-6
        assert attribution.between(network, input, TARGET, ["fc.linear"])["fc.linear"].shape == (2, 3)


def test_what_was_made_of_weights_and_kept_is_a_constant():
    network = built(lambda net, x: end(net, net.conv(x) + net.kept))
    network.kept = nn.Linear(1, 6).double()(torch.ones(1, 1).double())[..., None]
    assert network.kept.requires_grad
    attribution = LRP("epsilon", epsilon=1e-9)
    relevance = attribution(network, clips(), TARGET)
    logit = network(clips()).gather(1, TARGET[:, None])[:, 0].detach()
    assert (relevance.sum((1, 2)) + attribution.biases + attribution.unshared - logit).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("target", "message"),
    [(3, "target is int"), (torch.tensor([1]), r"target is torch.int64 \(1,\)"), (torch.ones(2), "torch.float32")],
)
def test_targets_are_classes_of_all_clips(target, message):
    with pytest.raises(Mistake, match=message):
        LRP()(built(normed(F.relu)), clips(), target)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda self, relevance: relevance, r"relevance_of_input\(input, relevance\) cannot be called"),
        (lambda self, input, relevance: None, "gives NoneType; let it give relevance in the shape of its input"),
        (lambda self, input, relevance: relevance[:, :1], r"gives \(\d, 1, 12\); let it"),
    ],
)
def test_rules_of_ones_own_are_checked(rule, message):
    network = built(lambda net, x: end(net, net.own(net.conv(x))))
    network.own = type("Own", (nn.ReLU,), {"relevance_of_input": rule})()
    with pytest.raises(Mistake, match=message):
        LRP()(network, clips(), TARGET)


def test_other_faults_are_said():
    network = built(normed(F.relu))
    with pytest.raises(Mistake, match=r"is to be a list of operations, \['conv.conv1d'\]"):
        LRP().between(network, clips(), TARGET, "conv.conv1d")
    with torch.no_grad():
        network.conv.weight[0] = torch.nan
    with pytest.raises(Mistake, match="outputs that are not finite"):
        LRP()(network, clips(), TARGET)
    with torch.inference_mode():
        network = built(normed(F.relu))
    with pytest.raises(Mistake, match="inference_mode"):
        LRP()(network, clips(), TARGET)
    twice = built(lambda net, x: end(net, F.relu(written_twice(net.conv(x)))))
    with pytest.raises(Mistake, match="writes to the same place more than once"):
        LRP()(twice, clips(), TARGET)


def written_twice(values):
    copy = values * 1
    copy[..., torch.tensor([0, 0])] = 2 * values[..., 3:5]
    return copy
