import json

import pandas as pd
import pytest
import torch

from tests.conftest import TINY
from tests.run.test_processes import PLAIN, TWO, uneven_folder  # noqa: F401
from tests.run.test_wandb import records

QUICK = [
    "callbacks.perturbation.fractions=[0,0.1]",
    "callbacks.perturbation.random_orders=1",
    "callbacks.relevance.clips=2",
]


def weights(run) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_callbacks_change_no_bit_of_the_weights(train_here, tmp_path):
    options = [*TINY, "trainer.max_epochs=2", "task=sex", "model=audionet", "keep_last=true"]
    assert train_here(*options, "hydra.run.dir=without") == ""
    assert (
        train_here(
            *options,
            "callbacks=explain",
            *QUICK,
            "attribution=smoothgrad",
            "attribution.samples=2",
            "hydra.run.dir=with",
        )
        == ""
    )
    for name, value in weights(tmp_path / "without").items():
        assert torch.equal(value, weights(tmp_path / "with")[name])
    with_, without = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("with", "without"))
    assert {name: with_[name] for name in without.keys() - {"seconds"}}.items() <= without.items()


@pytest.mark.slow
def test_an_offline_run_holds_pictures_sounds_and_curves(train_here, tmp_path):
    options = ["callbacks=explain", *QUICK, "callbacks.relevance.every_n_epochs=2", "logger=wandb", "model=alexnet"]
    assert train_here(*options, *TINY, "trainer.max_epochs=3", "hydra.run.dir=run") == ""
    run = tmp_path / "run"
    assert sorted(path.name for path in (run / "relevance").iterdir()) == ["epoch-002", "epoch-003"]
    assert len(list((run / "relevance/epoch-003").glob("*.png"))) == 2
    curves = pd.read_csv(run / "curves.csv")
    metrics = json.loads((run / "metrics.json").read_text())
    assert curves.query("fraction == 0")["accuracy"].tolist() == pytest.approx([metrics["test/accuracy"]] * 4)
    assert metrics["perturbation/area/relevance"] == pytest.approx(
        curves.query("order == 'relevance' and fraction > 0")["accuracy"].item()  # the height at one fraction
    )
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    logged = {
        item.key or item.nested_key[0]
        for record in records(file) if record.WhichOneof("record_type") == "history"
        for item in record.history.item
    }  # fmt: skip
    panels = {"relevance/pictures", "relevance/sounds", "perturbation/curves", "perturbation/table"}
    assert panels <= logged and {"train/loss", "val/accuracy", "test/accuracy"} <= logged
    media = file.parent / "files/media"
    assert len(list((media / "images/relevance").glob("pictures*.png"))) == 4
    assert len(list((media / "audio/relevance").glob("sounds*.wav"))) == 2 * 2 * 5
    assert list((media / "table/perturbation").glob("table*.json"))


@pytest.mark.slow
def test_a_hypothesis_is_tested_after_training(train_here, tmp_path):
    options = ["experiment=sex_scaling", *TINY, "hydra.sweep.dir=sweep", "-m", "fold=0,1"]
    assert train_here(*options) == ""
    metrics = json.loads((tmp_path / "sweep/0/metrics.json").read_text())
    assert metrics["intervention/accuracy_before"] == pytest.approx(metrics["test/accuracy"])
    assert 0 <= metrics["intervention/accuracy_after"] <= 1
    summary = (tmp_path / "sweep/summary.md").read_text()
    assert "intervention/accuracy_after" in summary and "20.3 ± 12.6" in summary
    assert (tmp_path / "sweep/1/intervention.png").exists()


@pytest.mark.slow
def test_an_intervention_that_the_network_cannot_be_asked(train_here):
    said = train_here("callbacks=intervention", "task=sex", "model=audionet", *TINY)
    assert "intervention=scale_waveform asks the same" in said


TWICE = """
from torch import nn


class Twice(nn.Module):
    def __init__(self, classes, **options):
        super().__init__()
        self.rectify, self.first = nn.ReLU(), nn.Conv1d(1, 4, 64, 16)
        self.last = nn.Conv1d(4, classes, 1)

    def forward(self, x):
        return self.rectify(self.last(self.rectify(self.first(x)))).mean(-1)
"""
NO_AXES = """
import torch
from torch import nn


class Folded(nn.Module):
    def forward(self, waveform):
        return waveform.reshape(len(waveform), 1, 80, -1)


class Flat(nn.Module):
    def __init__(self, classes, **options):
        super().__init__()
        self.dense = nn.Linear(8000, classes)

    def forward(self, x):
        return self.dense(x.flatten(1))
"""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["model.network._target_=their_nets.Twice", "explain_by=[amplitude,lrp_epsilon]"], "more than once"),
        (["model.network._target_=their_nets.Twice", "callbacks=explain"], "more than once"),
        (["model.network._target_=their_nets.Flat", "model.front_end={_target_: their_nets.Folded}",
          "callbacks=explain", "attribution=gradient"], "cannot be drawn"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_said_before_the_training(train_here, tmp_path, monkeypatch, options, says):
    (tmp_path / "their_nets.py").write_text(TWICE + NO_AXES)
    monkeypatch.syspath_prepend(tmp_path)
    said = train_here(*TINY, "model=audionet", "task=sex", "allow=their_nets", "hydra.run.dir=run", *options)
    assert says in said and "\n" not in said
    assert not (tmp_path / "run/metrics.csv").exists() and not (tmp_path / "run/checkpoints").exists()


@pytest.mark.slow
def test_a_resumed_run_keeps_its_callbacks(train_here, tmp_path):
    options = ["callbacks=explain", *QUICK, *TINY, "trainer.max_epochs=2", "hydra.run.dir=run", "task=sex"]
    assert train_here(*options, "keep_last=true") == ""
    (tmp_path / "run/curves.csv").unlink()
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    assert (tmp_path / "run/curves.csv").exists()


@pytest.mark.slow
def test_two_processes_find_what_one_does(train_here, tmp_path, uneven_folder):  # noqa: F811
    options = [*PLAIN, f"data.root={uneven_folder}", "callbacks=explain", *QUICK]
    assert train_here(*options, "hydra.run.dir=one") == ""
    assert train_here(*options, *TWO, "hydra.run.dir=two") == ""
    one, two = (pd.read_csv(tmp_path / run / "curves.csv") for run in ("one", "two"))
    assert one["order"].equals(two["order"])
    for name in ("accuracy", "probability"):  # of one speaker there are no intervals
        assert one[name].tolist() == pytest.approx(two[name].tolist(), abs=1e-3)
