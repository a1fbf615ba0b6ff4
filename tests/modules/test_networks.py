"""The networks that ship: what they take and give, how large they are, and that every composite of LRP takes them."""

import re

import pytest
import torch
from torch import Tensor, nn

from auscult.explain.attribution.lrp import LRP
from auscult.explain.attribution.options import COMPOSITES
from auscult.mistake import Mistake
from auscult.modules.networks import ast, cnn14, crnn, ds_cnn, m5, resnet, wav2vec2
from auscult.program.conf import CONF

WAVEFORM, LOG_MEL = (1, 8000), (1, 64, 64)
NETWORKS = {
    "m5": (m5.M5, WAVEFORM, "0.55 million"), "resnet": (resnet.ResNet, LOG_MEL, "11.2 million"),
    "cnn14": (cnn14.CNN14, LOG_MEL, "1.25 million"), "crnn": (crnn.CRNN, LOG_MEL, "0.15 million"),
    "ast": (ast.AST, LOG_MEL, "0.48 million"), "wav2vec2": (wav2vec2.Wav2Vec2, WAVEFORM, "0.48 million"),
    "ds_cnn": (ds_cnn.DSCNN, LOG_MEL, "0.1 million"),
}  # fmt: skip
LONG = ("resnet", "ast", "cnn14", "m5", "wav2vec2", "crnn")  # seconds for all composites


def made(name: str) -> tuple[nn.Module, Tensor]:
    """A network whose batch normalisation has statistics and shifts, in evaluation, and three clips."""
    torch.manual_seed(0)
    make, shape, _ = NETWORKS[name]
    network = make(10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval(), torch.rand(3, *shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_size_that_its_file_says(name):
    network, input = made(name)
    assert network(input).shape == (3, 10)
    said = (CONF / f"model/{name}.yaml").read_text().partition("\n")[0]
    (millions,) = re.findall(r"([\d.]+) million parameters", said)
    assert NETWORKS[name][2] == f"{millions} million"
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(float(millions), rel=0.04)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NETWORKS]
)
def test_every_composite_explains_it(name):
    network, input = made(name)
    target = torch.tensor([1, 5, 9])
    logit = network(input).gather(1, target[:, None])[:, 0].detach()
    for composite, (_, _, attention) in COMPOSITES.items():
        attribution = LRP(composite)
        relevance = attribution(network, input, target)
        assert relevance.shape == input.shape and relevance.isfinite().all() and relevance.any()
        if attention == "given":
            total = relevance.flatten(1).sum(1) + attribution.biases + attribution.unshared
            error = ((total - logit) / logit).abs()
            assert error.median() < 5e-3 and error.max() < 0.05, composite


def test_networks_of_any_size_of_spectrogram():
    for name in ("resnet", "ds_cnn", "cnn14"):
        assert made(name)[0](torch.rand(2, 1, 64, 80)).shape == (2, 10)
    assert made("crnn")[0](torch.rand(2, 1, 64, 80)).shape == (2, 10)
    assert made("m5")[0](torch.rand(2, 1, 12000)).shape == made("wav2vec2")[0](torch.rand(2, 1, 12000)).shape == (2, 10)


def test_what_ast_cannot_take_is_said():
    with pytest.raises(Mistake, match=r"built for spectrograms of 64 x 64, not 64 x 80; say model\.network\.rows=64"):
        made("ast")[0](torch.rand(2, 1, 64, 80))
    with pytest.raises(Mistake, match=r"model\.network\.patch=80 is above the spectrogram's 64 x 64"):
        ast.AST(10, patch=80)
    with pytest.raises(Mistake, match=r"model\.network\.width=100 is no multiple of model\.network\.heads=3"):
        ast.AST(10, width=100)
