"""Explanations of networks whose input has several channels."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import auscult
from auscult.explain.attribution.gradients import GradientXInput, IntegratedGradients
from auscult.explain.attribution.lrp import LRP
from auscult.explain.attribution.occlusion import Occlusion
from auscult.explain.attribution.rise import RISE
from auscult.explain.domain.domains import Frequency, Time, TimeFrequency
from auscult.explain.show.clip import View, drawn, sounds_of
from auscult.modules.mel import LogMel
from auscult.modules.model import Model

RATE, CHANNELS = 1000, 3
NETWORK = """
import torch
from torch import nn

class Ears(nn.Module):
    '''Hears the first channel only.'''

    def __init__(self, num_classes=2):
        super().__init__()
        torch.manual_seed(0)
        self.ears = nn.Conv1d(2, 4, 9, bias=False)
        with torch.no_grad():
            self.ears.weight[:, 1] = 0
        self.dense = nn.Linear(4, num_classes)

    def forward(self, waveform):
        return self.dense(self.ears(waveform).relu().mean(2))
"""


def linear() -> Model:
    """Two classes; the weights are known."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * RATE, 2))
    return Model(network, classes=["a", "b"], sample_rate=RATE, channels=CHANNELS).eval()


def clips(count: int = 2) -> Tensor:
    return 0.1 * torch.randn(count, CHANNELS, RATE, generator=torch.Generator().manual_seed(1))


def test_relevance_of_a_linear_network_is_weight_times_sample_in_each_channel():
    model, waveform = linear(), clips()[0]
    explanation = auscult.explain(model, waveform, attribution="lrp_epsilon", target="b")
    weight = model.network[1].weight[1].detach().view(CHANNELS, RATE)
    torch.testing.assert_close(explanation.relevance, weight * waveform, atol=1e-5, rtol=1e-4)
    assert explanation.waveform.shape == (CHANNELS, RATE) and explanation.conservation_error < 1e-3
    assert explanation.plot().axes and all(np.isfinite(sound).all() for sound in explanation.sounds.values())


@pytest.mark.parametrize("attribution", [LRP("epsilon"), GradientXInput(), IntegratedGradients(steps=8)])
@pytest.mark.parametrize("kind", ["time", "frequency", "time_frequency"])
def test_a_domain_has_the_channels_of_the_clip(attribution, kind):
    """Its relevance sums to that of the samples, channel by channel."""
    model, waveform, target = linear(), clips(), torch.tensor([0, 1])
    domain = {
        "time": lambda: Time(model, RATE),
        "frequency": lambda: Frequency(model, RATE),
        "time_frequency": lambda: TimeFrequency(model, RATE, 0.064, 0.016),
    }[kind]()
    input = domain.model.front_end(waveform)
    torch.testing.assert_close(domain.model.logits(input), model(waveform), atol=1e-4, rtol=1e-4)
    relevance, apart = domain.relevance(attribution, waveform, input, target)
    weight = model.network[1].weight[target].detach().view(2, CHANNELS, RATE)
    torch.testing.assert_close(relevance.flatten(2).sum(2), (weight * waveform).sum(2), atol=1e-3, rtol=1e-3)
    assert relevance.shape == input.shape and apart.abs().max() < 1e-3


def test_spectrograms_hand_the_relevance_of_each_channel_to_its_samples():
    """A network that sees the second channel only has no relevance in the samples of the others."""
    front_end = LogMel(RATE, 1.0, bands=16, columns=16, window_seconds=0.064, hop_seconds=0.016)

    class Second(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(256, 2)

        def forward(self, spectrogram: Tensor) -> Tensor:
            return self.dense(spectrogram[:, 1].flatten(1))

    torch.manual_seed(0)
    model = Model(Second(), front_end=front_end, classes=["a", "b"], sample_rate=RATE, channels=CHANNELS).eval()
    waveform = clips()
    for domain in (Time(model, RATE), Frequency(model, RATE)):
        input = domain.model.front_end(waveform)
        relevance, _ = domain.relevance(LRP("epsilon"), waveform, input, torch.tensor([0, 1]))
        sizes = relevance.abs().flatten(2).sum(2)
        assert (sizes[:, 1] > 0).all() and not sizes[:, [0, 2]].any()


@pytest.mark.parametrize("attribution", [Occlusion(0.1, 0.1), RISE(masks=400, cells=4)])
def test_hiding_tells_channels_apart(attribution):
    class First(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            energy = input[:, 0].square().mean(1)
            return torch.stack([energy, torch.zeros_like(energy)], 1)

    relevance = attribution(First(), 10 * clips(), torch.zeros(2, dtype=torch.int64), torch.zeros(1, CHANNELS, RATE))
    size = relevance.mean(2).abs()  # (B, C)
    assert (size[:, 0] > 5 * size[:, 1]).all() and (size[:, 0] > 5 * size[:, 2]).all()


def test_what_is_drawn_and_heard_is_of_all_channels():
    """The same clip, once as it is and once as two halves in two channels."""
    waveform = clips(1)[0, :1].numpy()
    relevance = np.square(waveform)
    one = View.of(Model(nn.Identity(), classes=["a"], sample_rate=RATE), (1, RATE))
    two = View.of(
        Model(nn.Identity(), classes=["a"], sample_rate=RATE, channels=2), (2, RATE), attribution=GradientXInput()
    )
    pair, halves = np.repeat(waveform, 2, axis=0), np.repeat(relevance / 2, 2, axis=0)
    for name, sound in sounds_of(one, waveform, relevance).items():
        np.testing.assert_allclose(sound, sounds_of(two, pair, halves)[name], atol=1e-6)
    alone = View.of(one.model, (1, RATE), attribution=GradientXInput())
    cells = alone.as_seen(waveform[None], relevance[None])
    np.testing.assert_allclose(two.as_seen(pair[None], halves[None]), cells, atol=1e-5)
    np.testing.assert_allclose(two.grid.inputs(pair[None]), alone.grid.inputs(waveform[None]), atol=1e-3)
    assert len(drawn(two, pair, halves, "clip").axes) == len(drawn(alone, waveform, relevance, "clip").axes)


@pytest.fixture
def stereo(tmp_path) -> Path:
    """A folder with recordings in stereo of two classes, and weights of `Ears`."""
    draws = np.random.default_rng(0)
    for name in ("left", "right"):
        for take in range(3):
            (tmp_path / "calls" / name).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / f"calls/{name}/{take}.wav", 0.1 * draws.standard_normal((4000, 2)), 8000)
    (tmp_path / "ears.py").write_text(NETWORK)
    known: dict = {}
    exec(NETWORK, known)
    save_file(known["Ears"]().state_dict(), tmp_path / "ears.safetensors")
    return tmp_path


QUICK = ["clips=1", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=1", "hydra.run.dir=run"]
EARS = ["network=ears.py:Ears", "weights=ears.safetensors", "sample_rate=8000", "input=calls", "classes=[left,right]"]


def test_a_network_of_ones_own_with_two_channels(explain_here, stereo):
    said = explain_here(*EARS, *QUICK)
    assert "say front_end=… if it takes spectrograms, or channels=… if it takes several" in said
    assert explain_here(*EARS, "channels=2", "data.pattern=(?P<label>left|right)/", *QUICK) == ""
    with h5py.File(stereo / "run/relevance.h5") as file:
        assert file["relevance"].shape == (6, 2, 4000) and not file["relevance"][:, 1].any()
    metrics = json.loads((stereo / "run/metrics.json").read_text())
    assert metrics["channel/relevance/1"] == 1 and metrics["channel/relevance/2"] == 0
    assert metrics["channel/energy/1"] == pytest.approx(0.5, abs=0.05)
    measures = pd.read_csv(stereo / "run/measures.csv")
    assert measures["channel/relevance/1"].tolist() == [1.0] * 6
    report = (stereo / "run/report.html").read_text()
    assert "channel 2, relevance" in report and "Share of energy in channel" in report


def test_a_notebook_explains_any_module_with_channels(stereo):
    known: dict = {}
    exec(NETWORK, known)
    network, recording = known["Ears"]().eval(), stereo / "calls/left/0.wav"
    explanation = auscult.explain(network, recording, sample_rate=8000, channels=2)
    assert explanation.relevance.shape == (2, 4000) and not explanation.relevance[1].any()
    samples, _ = soundfile.read(recording, dtype="float32")
    again = auscult.explain(network, samples.T, sample_rate=8000, channels=2)
    torch.testing.assert_close(again.relevance, explanation.relevance, atol=1e-4, rtol=1e-3)
    for channels in (0, "2", 1.5):
        with pytest.raises(auscult.Mistake, match="is not a whole number"):
            auscult.explain(network, recording, sample_rate=8000, channels=channels)
    with pytest.raises(auscult.Mistake, match="the model has 3; leave channels out"):
        auscult.explain(linear(), clips()[0], channels=2)


@pytest.mark.slow
def test_a_stereo_network_is_trained_and_explained(train_here, explain_here, tmp_path):
    """Only the side of the sound tells the classes apart: what is mixed to mono cannot."""
    draws, time = np.random.default_rng(0), np.arange(8000) / 8000
    for side in (0, 1):
        for take in range(40):
            samples = 0.02 * draws.standard_normal((8000, 2))
            samples[:, side] += 0.3 * np.hanning(8000) * np.sin(2 * np.pi * draws.uniform(300, 1200) * time)
            path = tmp_path / f"clips/{'left' if side == 0 else 'right'}/s{take % 8}_{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, 8000)
    corpus = ["data=folder", "data.root=clips", "task=label", r"data.pattern=(?P<label>left|right)/(?P<speaker>s\d)"]
    training = [*corpus, "model=m5", "model.network.width=16", "data.epochs=8", "data.batch_size=10"]
    assert train_here(*training, "data.clip.channels=2", "hydra.run.dir=stereo") == ""
    assert json.loads((tmp_path / "stereo/metrics.json").read_text())["test/accuracy"] > 0.9
    options = ["checkpoint=stereo", "data.root=clips", *QUICK]
    for domain in ("input", "time_frequency"):
        assert explain_here(*options, f"domain={domain}", f"hydra.run.dir={domain}") == ""
        measures = pd.read_csv(tmp_path / f"{domain}/measures.csv")
        is_left = measures["path"].str.startswith("left")
        own = np.where(is_left, measures["channel/relevance/1"], measures["channel/relevance/2"])
        assert own.mean() > 0.75
