import json

import pytest
import torch

from tests.conftest import TINY

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


TWICE = """
from torch import nn


class Product(nn.Module):
    def __init__(self, classes, **options):
        super().__init__()
        self.rectify, self.first = nn.ReLU(), nn.Conv1d(1, 4, 64, 16)
        self.last = nn.Conv1d(4, classes, 1)

    def forward(self, x):
        return self.rectify(self.last(self.rectify(self.first(x)))).cummax(-1).values.cumprod(-1).mean(-1)
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
        (["model.network._target_=their_nets.Product", "explain_by=[amplitude,lrp_epsilon]"], "applies cumprod"),
        (["model.network._target_=their_nets.Product", "callbacks=explain"], "applies cumprod"),
        (["model.network._target_=their_nets.Flat", "model.front_end={_target_: their_nets.Folded}",
          "callbacks=explain", "attribution=gradient"], "cannot be drawn"),
        (["callbacks=intervention"], "choose intervention=scale_waveform with a factor for each class"),
        (["callbacks=explain", "callbacks.perturbation.fractions=[2]"], "perturbation.fractions=[2] is not a list of"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_said_before_the_training(train_here, tmp_path, monkeypatch, options, says):
    (tmp_path / "their_nets.py").write_text(TWICE + NO_AXES)
    monkeypatch.syspath_prepend(tmp_path)
    said = train_here(*TINY, "model=audionet", "task=sex", "allow=their_nets", "hydra.run.dir=run", *options)
    assert says in said and "\n" not in said
    assert not (tmp_path / "run/metrics.csv").exists() and not (tmp_path / "run/checkpoints").exists()
