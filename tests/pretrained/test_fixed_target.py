"""Removal where one class is explained in all clips: only the clips of that class say whether the order is right.

A network hears three tones, and shares out exactly what it hears. What speaks for `low` in a clip of `low` is its tone;
without it, the network is wrong. In a clip of `high`, the removal of what speaks for `low` leaves the network right.
"""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile

pytestmark = pytest.mark.slow
RATE, HERTZ = 8000, {"low": 500, "mid": 1500, "high": 2500}
NETWORK = """
import torch
from torch import nn

class Tones(nn.Module):
    sample_rate, classes = 8000, ["low", "mid", "high"]

    def __init__(self):
        super().__init__()
        time = torch.arange(512) / 8000
        waves = [torch.sin(2 * torch.pi * hertz * time) * torch.hann_window(512) for hertz in (500, 1500, 2500)]
        self.convolution = nn.Conv1d(1, 3, 512, stride=37, bias=False)
        self.convolution.weight.data = torch.stack(waves)[:, None] / 64

    def forward(self, waveform):
        return 5 * self.convolution(waveform).relu().mean(-1)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two takes of each tone by each of four speakers, with the other tones softly below."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tones.py").write_text(NETWORK)
    draws, time = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    for name in HERTZ:
        for speaker in range(4):
            levels = {each: 0.4 if each == name else draws.uniform(0.02, 0.1) for each in HERTZ}
            sound = sum(level * np.sin(2 * np.pi * HERTZ[each] * time) for each, level in levels.items())
            (tmp_path / "clips").mkdir(exist_ok=True)
            soundfile.write(tmp_path / f"clips/{name}_{speaker}.wav", sound + 1e-3 * draws.normal(size=len(time)), RATE)
    return tmp_path


ASKED = ["network=tones.py:Tones", "input=clips", r"data.pattern='(?P<label>\w+)_(?P<speaker>\d)'", "domain=frequency",
         "attribution=gradient_x_input", "perturbation.energies=[0,0.5,1]", "clips=1"]  # fmt: skip


@pytest.mark.parametrize("target", [["target=low"], ["target=low", "against=high"], ["target=[low]", "against=rest"]])
def test_only_clips_of_the_target_are_tested(explain_here, place, target):
    assert explain_here(*ASKED, *target, "hydra.run.dir=run") == ""
    metrics = json.loads((place / "run/metrics.json").read_text())
    assert metrics["test/accuracy"] == 1  # of all clips that are asked for
    assert metrics["perturbation/area/relevance"] < 0.2 and metrics["perturbation/area/least_relevant"] > 0.9
    table = pd.read_csv(place / "run/measures.csv")
    has_low = table["path"].str.startswith("low")
    assert (table["faithfulness/energy_deletion"].notna() == has_low).all() and has_low.any() and not has_low.all()
    with h5py.File(place / "run/relevance.h5") as file:
        assert (np.isfinite(file["perturbation/probability"][:]).all((1, 2)) == has_low).all()
    curves = pd.read_csv(place / "run/curves.csv")
    assert (curves.query("fraction == 0")["accuracy"] == 1).all()
    assert "Only the 4 clips of the explained class are tested." in (place / "run/report.html").read_text()


def test_a_class_that_no_clip_has_is_not_tested(explain_here, place):
    for path in place.glob("clips/mid*"):
        path.unlink()
    assert explain_here(*ASKED, "target=mid", "hydra.run.dir=run") == ""
    assert not any(name.startswith("perturbation") for name in json.loads((place / "run/metrics.json").read_text()))


def test_a_leaderboard_of_one_class(benchmark_here, place):
    short = [each for each in ASKED if not each.startswith(("domain", "attribution"))]
    assert benchmark_here(*short, "domains=[frequency]", "attributions=[gradient_x_input,random]", "target=low",
                          "against=high", "hydra.run.dir=board", "checks=0") == ""  # fmt: skip
    table = pd.read_csv(place / "board/leaderboard.csv")
    value = table[table["measure"] == "deletion/accuracy"].set_index("attribution")["mean"]
    assert value["gradient_x_input"] < 0.2 and value["random"] > 0.5
