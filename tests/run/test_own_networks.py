"""What is said of a network of one's own, before it is trained."""

import logging

import pytest
import torch
from torch import Tensor, nn

from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import NormalizedWaveform
from auscult.modules.augmentation import Augmentation
from auscult.parts import build_part
from auscult.run.trial import try_network

LINEAR = {"_target_": "tests.run.test_own_networks.Linear", "samples": 800}
SETTINGS = ClipSettings(sample_rate=8000, seconds=0.1)


class Linear(nn.Module):
    def __init__(self, classes: int, samples: int, softmax: bool = False) -> None:
        super().__init__()
        self.dense, self.softmax = nn.Linear(samples, classes), softmax

    def forward(self, waveform: Tensor) -> Tensor:
        logits = self.dense(waveform.flatten(1))
        return logits.softmax(1) if self.softmax else logits


class WithoutClasses(nn.Module):
    def __init__(self, samples: int) -> None:
        super().__init__()


class Classifier(nn.Module):
    """As much of one as is tried out."""

    def __init__(self, network: nn.Module, band_mask: float = 0.0) -> None:
        super().__init__()
        self.network, self.front_end, self.classes = network, NormalizedWaveform(), ["no", "yes"]
        self.frozen: list[str] = []
        self.augmentation = Augmentation(band_mask=band_mask)


class OfNames(nn.Module):
    def __init__(self, classes: list[str], samples: int) -> None:
        super().__init__()
        self.dense = nn.Linear(samples, len(list(classes)))


def network(**options) -> nn.Module:
    return build_part("model.network", {**LINEAR, **options}, ["tests"], classes=2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"filters": 3}, r"model\.network\.filters is no option of Linear; leave it out, or take it away with '~model"),
        ({"sample": 3}, r"model\.network\.sample is no option of Linear \(did you mean samples\?\)"),
        ({"_target_": "tests.run.test_own_networks.WithoutClasses"}, "has to take the argument classes, with which it"),
        ({"_target_": "tests.run.test_own_networks.linear"}, r"; say tests\.run\.test_own_networks\.Linear, if you"),
        (
            {"_target_": "tests.run.nowhere.Linear"},
            "start from the folder that holds it, or name that folder in PYTHON",
        ),
        ({"_target_": "tests/run/test_own_networks.py"}, r"is a path; say it as Python does: module\.Class\."),
        (
            {"_target_": "tests.run.test_own_networks.OfNames"},
            r"OfNames\(samples=800, classes=2\) fails in .*test_own_networks\.py:\d+ \(TypeError: 'int' object",
        ),
        ({"_target_": "tests.run.test_own_networks.network"}, r"is no class; name a subclass of torch\.nn\.Module\."),
    ],
)
def test_what_does_not_fit_is_named(options, says):
    with pytest.raises(Mistake, match=says):
        network(**options)


def test_where_it_fails_is_named():
    with pytest.raises(
        Mistake, match=r"Linear cannot take clips of .*RuntimeError in .*test_own_networks\.py:\d+: mat1"
    ):
        try_network(Classifier(network(samples=1600)), SETTINGS, own=True)


@pytest.mark.parametrize("softmax", [True, False])
def test_probabilities_are_no_logits(softmax, caplog):
    with caplog.at_level(logging.WARNING), torch.random.fork_rng():
        torch.manual_seed(0)
        try_network(Classifier(network(softmax=softmax)), SETTINGS, own=True)
    assert ("logits are wanted: leave its softmax out" in caplog.text.replace("\n", " ")) is softmax


def test_a_network_of_which_nothing_learns_is_named():
    with pytest.raises(Mistake, match=r"model\.network: Linear has no parameter that can learn; set requires_grad"):
        try_network(Classifier(network().requires_grad_(False)), SETTINGS, own=True)
    partly = network()
    partly.dense.weight.requires_grad_(False)
    try_network(Classifier(partly), SETTINGS, own=True)


@pytest.mark.parametrize("band_mask", [0.0, 0.1])
def test_bands_of_a_waveform_are_not_masked_and_that_is_said(caplog, band_mask):
    with caplog.at_level(logging.WARNING):
        try_network(Classifier(network(), band_mask), SETTINGS, own=True)
    assert ("augmentation.band_mask does nothing here: the input of Linear" in caplog.text) == (band_mask > 0)
