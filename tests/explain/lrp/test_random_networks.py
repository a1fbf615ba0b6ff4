"""Networks of operations in any order keep their outputs, conserve, and explain each clip as if it were alone."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from auscult.explain.attribution.lrp import LRP

CHANNELS, STEPS, CLASSES = 4, 8, 3


class Turned(nn.Module):
    """A module for (B, T, C), on (B, C, T)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        output = self.inner(x, x, x) if isinstance(self.inner, nn.MultiheadAttention) else self.inner(x)
        return (output[0] if isinstance(output, tuple) else output).transpose(1, 2)


class Function(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.conv, self.in_place = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1), in_place

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x))
        if self.in_place:
            y += x
            return y
        return x + y


class Excitation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.dense(x.mean(2)))[:, :, None]


PARTS = {
    "conv": lambda: nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1),
    "grouped": lambda: nn.Conv1d(CHANNELS, CHANNELS, 3, padding=2, dilation=2, groups=2),
    "circular": lambda: nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1, padding_mode="circular"),
    "transposed": lambda: nn.ConvTranspose1d(CHANNELS, CHANNELS, 3, padding=1),
    "across": lambda: Turned(nn.Linear(CHANNELS, CHANNELS)),
    "batch norm": lambda: nn.BatchNorm1d(CHANNELS),
    "group norm": lambda: nn.GroupNorm(2, CHANNELS),
    "layer norm": lambda: Turned(nn.LayerNorm(CHANNELS)),
    "relu": nn.ReLU,
    "relu in place": lambda: nn.Sequential(nn.Conv1d(CHANNELS, CHANNELS, 1), nn.ReLU(inplace=True)),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "glu": lambda: nn.Sequential(nn.Conv1d(CHANNELS, 2 * CHANNELS, 1), nn.GLU(1)),
    "residual": lambda: Residual(in_place=False),
    "residual in place": lambda: Residual(in_place=True),
    "excitation": Excitation,
    "attention": lambda: Turned(nn.MultiheadAttention(CHANNELS, 2, batch_first=True)),
    "encoder": lambda: Turned(nn.TransformerEncoderLayer(CHANNELS, 2, 8, batch_first=True, norm_first=True)),
    "gru": lambda: Turned(nn.GRU(CHANNELS, CHANNELS, batch_first=True)),
    "lstm": lambda: Turned(nn.LSTM(CHANNELS, CHANNELS // 2, batch_first=True, bidirectional=True)),
    "time first": lambda: Function(lambda x: (x.permute(2, 0, 1) * 1.5 + 0.1).permute(1, 2, 0)),
    "frames as clips": lambda: Function(lambda x: (x.transpose(1, 2).flatten(0, 1) + 0.2).view(-1, STEPS, CHANNELS).mT),
    "shift": lambda: Function(lambda x: x.roll(1, 2) - 0.3),
    "means": lambda: nn.AvgPool1d(3, 1, padding=1),
    "maxima": lambda: nn.MaxPool1d(3, 1, padding=1),
    "constants beside": lambda: Function(lambda x: torch.cat([x, torch.ones_like(x[:, :1])], 1)[:, 1:]),
    "dropout": nn.Dropout,
}


def network_of(names: list[str], seed: int) -> nn.Module:
    """The parts behind each other, a mean over time, and a dense layer; with drawn statistics."""
    torch.manual_seed(seed)
    parts = [PARTS[name]() for name in names]
    head = [Function(lambda x: x.mean(2)), nn.Linear(CHANNELS, CLASSES)]
    network = nn.Sequential(*parts, *head).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


@settings(deadline=None, max_examples=40)
@given(names=st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_networks_of_any_operations(names, seed):
    network = network_of(names, seed)
    input, target = torch.randn(3, CHANNELS, STEPS, dtype=torch.float64), torch.tensor([0, 2, 1])
    with torch.no_grad():
        outputs = network(input)
    logit = outputs.gather(1, target[:, None])[:, 0]
    for composite in ("epsilon", "epsilon_plus"):
        attribution = LRP(composite, epsilon=1e-9)
        relevance = attribution(network, input, target)
        biases, unshared = attribution.biases, attribution.unshared
        missing = relevance.flatten(1).sum(1) + biases + unshared - logit
        size = relevance.abs().flatten(1).sum(1) + biases.abs() + logit.abs()
        assert (missing.abs() <= 1e-2 * size).all(), (composite, missing / size)
        alone = attribution(network, input[1:2], target[1:2])
        scale = size[1].item()
        torch.testing.assert_close(alone[0], relevance[1], rtol=1e-6, atol=1e-6 * scale)
        torch.testing.assert_close(attribution.biases[0], biases[1], rtol=1e-6, atol=1e-6 * scale)
        with torch.no_grad():
            assert torch.equal(network(input), outputs)
