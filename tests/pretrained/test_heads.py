"""What networks end with, and how they treat clips: found by trying, or said."""

import copy
import logging

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from torch import nn

import auscult
from auscult.mistake import Mistake
from auscult.pretrained.around import model_around

RATE = 8000
TAGS = ["a", "b", "c"]
POOLED = {
    "clamped": lambda z, a: z.mean(2).sigmoid().clamp(1e-7, 1 - 1e-7),
    "mean over time": lambda z, a: z.sigmoid().mean(-1),
    "maximum over time": lambda z, a: z.sigmoid().amax(-1),
    "maximum with its place": lambda z, a: z.sigmoid().max(-1).values,
    "attention": lambda z, a: (z.sigmoid() * a.softmax(-1)).sum(-1),
    "attention, clamped": lambda z, a: torch.clamp((z.sigmoid() * a.softmax(-1)).sum(-1), 0, 1),
}


class Ends(nn.Module):
    def __init__(self, end, outputs=3):
        super().__init__()
        self.convolution, self.weights = nn.Conv1d(1, outputs, 64, 32), nn.Conv1d(1, outputs, 64, 32)
        self.dropout, self.norm, self.end = nn.Dropout(0.5), nn.BatchNorm1d(outputs), end

    def forward(self, waveform):
        return self.end(self.norm(self.dropout(self.convolution(waveform))), self.weights(waveform))


def made(end, outputs=3):
    torch.manual_seed(0)
    return Ends(end, outputs)


def around(network, **options):
    return model_around(network, sample_rate=RATE, samples=RATE, **options)


WAVEFORM = 0.1 * torch.randn(1, 1, RATE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("end", POOLED.values(), ids=POOLED)
def test_pooled_sigmoids_are_the_networks_own_probabilities(end):
    model = around(made(end), classes=TAGS)
    with torch.no_grad():
        own, logits = model.network.network(WAVEFORM), model(WAVEFORM)
    assert model.kind == "tags"
    torch.testing.assert_close(logits.sigmoid(), own, atol=1e-5, rtol=0)
    explained = auscult.explain(model, WAVEFORM[0, 0], RATE, attribution="lrp_epsilon_plus", target="b")
    assert explained.conservation_error < 1e-3
    assert float(explained.probabilities[1]) == pytest.approx(float(own[0, 1]), abs=1e-4)


def test_a_pooled_yes_or_no_says_its_own_probability():
    model = around(made(POOLED["mean over time"], 1), classes=["no", "yes"])
    with torch.no_grad():
        own = float(model.network.network(WAVEFORM)[0, 0])
        assert float(model(WAVEFORM).softmax(1)[0, 1]) == pytest.approx(own, abs=1e-5)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda z, a: (z.sigmoid() ** 2).sum(-1) / z.sigmoid().sum(-1), True),  # from 0 to 1, and nobody knows why
        (lambda z, a: (z * a.sigmoid()).mean(-1), False),  # a gate
        (lambda z, a: z.sigmoid().sum(-1), False),  # a number of frames
    ],
    ids=["another pooling", "gate", "sum"],
)
def test_other_outputs_are_logits_and_probabilities_are_suspected(end, said, caplog):
    with caplog.at_level(logging.WARNING):
        model = around(made(end), classes=TAGS)
    assert model.kind == "classes" and ("let it give their logits" in caplog.text) == said
    with torch.no_grad():
        torch.testing.assert_close(model(WAVEFORM), model.network.network(WAVEFORM))


class Decibels(nn.Module):
    """As many people begin: the floor of the decibels is 80 below the loudest of the whole batch."""

    def __init__(self, rate=RATE):
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(rate, n_fft=256, n_mels=16)
        self.decibels, self.dense = torchaudio.transforms.AmplitudeToDB(top_db=80), nn.Linear(16, 3)

    def forward(self, waveform):
        return self.dense(self.decibels(self.mel(waveform)).mean(-1))  # (B, F, N) is one picture for torchaudio


def test_a_network_that_mixes_soft_clips_with_loud_ones_is_noticed(caplog):
    class Flat(Decibels):
        def forward(self, waveform):
            return super().forward(waveform.squeeze(1))

    assert around(Flat(), classes=TAGS).mixes and "each clip is explained alone" in caplog.text
    assert not around(made(lambda z, a: z.mean(-1)), classes=TAGS).mixes


def test_the_rate_of_its_own_spectrogram_is_minded(caplog):
    around(Decibels(16_000), classes=TAGS)
    assert "makes its spectrogram for 16000 Hz: say sample_rate=16000" in caplog.text
    caplog.clear()
    around(Decibels(RATE), classes=TAGS)
    around(nn.Sequential(torchaudio.transforms.Resample(RATE, 16_000), Decibels(16_000)), classes=TAGS)
    assert "spectrogram for" not in caplog.text


@pytest.mark.parametrize("target", [{"target": 0}, {"target": [0, 1]}, {"target": 0, "against": 1}, {}])
@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_network_keeps_its_mode_whatever_is_asked(target, mode, wrapped):
    network = made(lambda z, a: z.mean(-1)).train(mode)
    network.dropout.train(not mode)  # each module its own
    before = {name: module.training for name, module in network.named_modules()}
    held = copy.deepcopy(network.state_dict())
    model = auscult.Model(network, classes=TAGS, sample_rate=RATE).train(mode) if wrapped else network
    if wrapped:
        network.dropout.train(not mode)
    auscult.explain(model, WAVEFORM[0, 0], RATE, attribution="gradient_x_input", **target)
    assert {name: module.training for name, module in network.named_modules()} == before
    assert all(torch.equal(value, held[name]) for name, value in network.state_dict().items())


def test_a_tag_by_number_is_the_tag_by_name():
    model = around(made(lambda z, a: z.mean(2).sigmoid()), classes=TAGS)
    number, name = (auscult.explain(model, WAVEFORM[0, 0], RATE, target=each) for each in (1, "b"))
    assert number.target == name.target and torch.equal(number.relevance, name.relevance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_another_precision_is_named(dtype):
    with pytest.raises(Mistake, match=rf"weights are {str(dtype)[6:]}, and relevance is computed in float32"):
        auscult.explain(made(lambda z, a: z.mean(-1)).to(dtype), WAVEFORM[0, 0], RATE)


def test_recordings_in_bfloat16_are_heard():
    explained = auscult.explain(made(lambda z, a: z.mean(-1)), WAVEFORM[0, 0].bfloat16(), RATE)
    assert np.isfinite(explained.relevance.numpy()).all()


def test_a_network_that_loses_the_dimension_of_clips_is_told_so():
    with pytest.raises(Mistake, match="takes 2 clips, but not one alone, or gives another shape"):
        around(made(lambda z, a: z.mean(-1).squeeze()), classes=TAGS)


class Deaf(nn.Module):
    """Gives the same logits whatever it hears."""

    sample_rate = RATE

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv1d(1, 3, 64, 32)
        self.convolution.weight.data *= 1e-9

    def forward(self, waveform):
        return self.convolution(waveform).mean(-1)


def test_a_network_that_hears_nothing_gets_no_headline(explain_here, tmp_path):
    draws = np.random.default_rng(0)
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * draws.normal(size=RATE), RATE)
    network = [f"network={__file__}:Deaf", "classes=[a,b,c]", f"input={tmp_path}", "clips=1", "hydra.run.dir=run"]
    assert explain_here(*network, "attribution=gradient_x_input") == ""
    page = (tmp_path / "run/report.html").read_text()
    assert "The network gives the same answer for all 4 clips: there is nothing to explain." in page
    assert "listens most" not in page and "confirms the order" not in page
