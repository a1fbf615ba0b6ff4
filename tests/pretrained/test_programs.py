"""The programs with networks that `train.py` did not make."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from auscult.explain.loading import TrainedModel
from auscult.pretrained.opening import opened
from auscult.serve.live import application
from auscult.serve.live_model import LiveModel
from tests.pretrained import networks
from tests.pretrained.networks import RATE
from tests.pretrained.test_hugging_face import saved

FILE = networks.__file__
MEL = [f"network={FILE}:Mel", f"sample_rate={RATE}", "weights=best.safetensors"]
QUICK = ["clips=1", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=1"]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with recordings of two classes, weights, and names of classes."""
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    for name, hertz in (("low", 300), ("high", 3000)):
        for take in range(3):
            (tmp_path / "calls" / name).mkdir(parents=True, exist_ok=True)
            tone = np.sin(2 * np.pi * hertz * np.arange(6000) / RATE) + 0.1 * draws.standard_normal(6000)
            heard = (0.3, 0.002, 0.9)[take] * tone / 1.1 + (0.0, 0.0005, 0.1)[take]  # soft ones, and with an offset
            soundfile.write(tmp_path / f"calls/{name}/{take}.wav", heard, RATE)
    weights = {name: value.clone() + 0.1 for name, value in networks.Mel(3).state_dict().items()}
    save_file({f"model.{name}": value for name, value in weights.items()}, tmp_path / "best.safetensors")
    (tmp_path / "labels.txt").write_text("low\nhigh\nother\n")
    return tmp_path


def test_weights_of_ones_own_become_a_report(explain_here, place):
    assert explain_here(*MEL, "classes=labels.txt", "input=calls", "hydra.run.dir=run", *QUICK) == ""
    metrics = json.loads((place / "run/metrics.json").read_text())
    assert metrics["clips/explained"] == 6 and metrics["conservation_error/highest"] < 0.01
    with h5py.File(place / "run/relevance.h5") as file:
        assert file["relevance"].shape == (6, 1, 6000) and list(file.attrs["classes"]) == ["low", "high", "other"]
        logits = file["prediction"][:]
    model = opened(
        {"network": f"{FILE}:Mel", "weights": "best.safetensors", "sample_rate": RATE, "classes": ["low", "high", "x"],
         "network_options": None, "seconds": 0.375, "front_end": None, "output": None, "label": "label"}
    ).model  # fmt: skip
    waveforms = [soundfile.read(path, dtype="float32")[0] for path in sorted(place.glob("calls/*/*.wav"))]
    assert np.allclose(logits, model(torch.tensor(np.stack(waveforms))[:, None]).detach(), rtol=1e-5, atol=1e-5)
    report = (place / "run/report.html").read_text()
    assert f"{FILE}:Mel" in report and "trained on" not in report
    # the same command goes on, other weights do not
    assert explain_here(*MEL, "classes=labels.txt", "input=calls", "hydra.run.dir=run", *QUICK) == ""
    other = networks.Mel(3).state_dict()
    save_file({name: value.clone() for name, value in other.items()}, place / "best.safetensors")
    said = explain_here(*MEL, "classes=labels.txt", "input=calls", "hydra.run.dir=run", *QUICK)
    assert "from before its checkpoint or its recordings were changed" in said


@pytest.mark.slow
def test_labels_test_it_and_an_inner_module_is_explained(explain_here, place):
    options = [*MEL, "classes=labels.txt", "input=calls", "data.pattern=(?P<label>low|high)/", "front_end=decibels"]
    assert explain_here(*options, "hydra.run.dir=run", "target=true", *QUICK) == ""
    metrics = json.loads((place / "run/metrics.json").read_text())
    assert 0 <= metrics["test/accuracy"] <= 1 and "perturbation/area/relevance" in metrics
    with h5py.File(place / "run/relevance.h5") as file:
        assert file["relevance"].shape == (6, 1, 24, 38)
    assert list((place / "run").glob("**/*.wav"))


def test_a_spectrogram_of_several_channels_is_explained(explain_here, place):
    """Such as what an inner convolution gives, or mel bands with their differences."""
    options = [*MEL, "classes=labels.txt", "input=calls", "front_end=convolution", "hydra.run.dir=run", *QUICK]
    assert explain_here(*options) == ""
    with h5py.File(place / "run/relevance.h5") as file:
        assert file["relevance"].shape == (6, 4, 24, 38)
    metrics = json.loads((place / "run/metrics.json").read_text())
    assert sum(metrics[f"channel/relevance/{number}"] for number in range(1, 5)) == pytest.approx(1)


@pytest.mark.slow
def test_a_front_end_of_ours(explain_here, place):
    (place / "picture.py").write_text(
        "from torch import nn\n"
        "def make(): return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    options = ["network=picture.py:make", f"sample_rate={RATE}", "front_end=log_mel", "seconds=1", "input=calls"]
    assert explain_here(*options, "hydra.run.dir=run", "domain=time", *QUICK) == ""
    with h5py.File(place / "run/relevance.h5") as file:
        assert file["relevance"].shape == (6, 1, 16000) and list(file.attrs["classes"]) == ["no", "yes"]


@pytest.mark.slow
def test_attributions_of_a_classifier_of_the_hub_are_compared(benchmark_here, place):
    saved(place / "hub", "ast")
    options = ["network=hf:hub", "input=calls", "attributions=[attnlrp,amplitude]", "limit=4", "checks=1", *QUICK]
    assert benchmark_here(*options, "hydra.run.dir=run") == ""
    table = (place / "run/leaderboard.csv").read_text()
    assert "attnlrp" in table and "amplitude" in table
    assert "hf:" in (place / "run/leaderboard.html").read_text()


def test_the_live_page_has_it(place):
    saved(place / "hub", "wav2vec2")
    config = {"network": f"hf:{place / 'hub'}", "sample_rate": None, "classes": None, "seconds": 0.5, "front_end": None,
              "output": None, "label": "label"}  # fmt: skip
    model = LiveModel(
        TrainedModel.of_subject(opened(config)), ["attnlrp", "random"], ["input", "frequency"], torch.device("cpu")
    )
    client = TestClient(application(model, ["*"]))
    page = client.get("/").text
    assert "trained on" not in page and "class 3" in page
    sound = (place / "calls/low/0.wav").read_bytes()
    answer = client.post("/explain?attribution=attnlrp&domain=frequency&target=predicted", content=sound)
    assert answer.status_code == 200 and len(answer.json()["probabilities"]) == 4


@pytest.mark.parametrize("own_length", [True, False])
def test_the_live_page_keeps_the_length_of_a_recording(place, own_length):
    """Silence up to ten seconds would change what the network says."""
    classes = ["low", "high", "x"]
    known = {"network": f"{FILE}:Mel", "weights": "best.safetensors", "sample_rate": RATE, "classes": classes,
             "network_options": None, "seconds": None, "front_end": None, "output": None, "label": "label"}  # fmt: skip
    subject = TrainedModel.of_subject(opened(known))
    domains, cpu = ["input", "time_frequency"], torch.device("cpu")
    client = TestClient(application(LiveModel(subject, ["lrp_epsilon"], domains, cpu, own_length=own_length), ["*"]))
    samples = torch.from_numpy(soundfile.read(place / "calls/low/0.wav", dtype="float32")[0])
    expected = opened(known).model(samples[None, None]).softmax(1)[0]
    sound = (place / "calls/low/0.wav").read_bytes()
    for domain in domains:
        answer = client.post(f"/explain?attribution=lrp_epsilon&domain={domain}&target=predicted", content=sound).json()
        assert answer["length"] == (0.375 if own_length else 10)
        shares = [share for _, share in answer["probabilities"]]
        assert (np.abs(np.array(shares) - expected.detach().numpy()).max() < 0.01) == own_length


def test_the_live_page_names_all_tags_that_hold(place):
    (place / "tags.py").write_text(
        "import torch\nclass Tags(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.dense = torch.nn.Conv1d(1, 3, 1)\n"
        "        torch.nn.init.zeros_(self.dense.weight)\n"
        "        self.dense.bias = torch.nn.Parameter(torch.tensor([2.0, -2.0, 1.0]))\n"
        "    def forward(self, waveform):\n        return self.dense(waveform).mean(2).sigmoid()\n"
    )
    known = {"network": "tags.py:Tags", "weights": None, "sample_rate": RATE, "classes": ["a", "b", "c"],
             "network_options": None, "seconds": 0.375, "front_end": None, "output": None, "label": ""}  # fmt: skip
    model = LiveModel(TrainedModel.of_subject(opened(known)), ["lrp_epsilon"], ["input"], torch.device("cpu"))
    client = TestClient(application(model, ["*"]))
    page, sound = client.get("/").text, (place / "calls/low/0.wav").read_bytes()
    assert "says which tags it hears" in page
    answer = client.post("/explain?attribution=lrp_epsilon&domain=input&target=b", content=sound).json()
    assert (answer["prediction"], answer["named"], answer["target"]) == ("a, c", ["a", "c"], "b")
    model.asked.network.network.dense.bias.data.fill_(-1.0)
    answer = client.post("/explain?attribution=lrp_epsilon&domain=input&target=b", content=sound).json()
    assert (answer["prediction"], answer["named"]) == ("none of its tags", [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*MEL], "input has no value"),
        ([f"network={FILE}:Mel", "input=calls", f"sample_rate={RATE}"], "needs the argument num_classes"),
        ([*MEL, "input=calls", "classes=[a,b]"], "2 tensors of other shapes"),
        ([*MEL, "input=calls", "classes=labels.txt", "target=cow"], "target=cow is unknown"),
        ([*MEL, "input=nowhere", "classes=labels.txt"], "input=.*nowhere does not exist"),
        ([*MEL, "input=calls", "classes=labels.txt", "checkpoint=best.ckpt"], "both set"),
        ([*MEL, "input=calls", "classes=labels.txt", "front_end=dense"], "cannot be drawn"),
        ([*MEL, "input=calls", "classes=labels.txt", "front_end=mel", "domain=frequency"], "leave domain out"),
        ([*MEL, "input=calls", "classes=labels.txt", "seconds=0.001"], "takes no clips of 0.001 s"),
        ([*MEL, "input=calls", "classes=labels.txt", "intervention=keep_band"], "needs labels"),
        (["input=calls"], "checkpoint has no value"),
    ],
)
def test_mistakes(explain_here, place, options, message):
    said = explain_here(*options, "hydra.run.dir=run", *QUICK)
    assert re.search(message, said) and "\n" not in said, said
    assert not (place / "run").exists() or not (place / "run/relevance.h5").exists()


def test_misspelt_options_are_named(explain_here):
    assert "network" in explain_here("netwrok=a:b") and "weights" in explain_here("network=a:b", "wieghts=c.pt")
