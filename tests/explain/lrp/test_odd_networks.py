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
