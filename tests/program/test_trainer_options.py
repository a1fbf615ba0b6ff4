"""Every argument of Lightning's Trainer passes, or is refused in one sentence that names the way."""

import inspect
from typing import get_args

import pandas as pd
import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.accelerators import AcceleratorRegistry
from pytorch_lightning.strategies import StrategyRegistry
from pytorch_lightning.trainer.connectors.accelerator_connector import _PRECISION_INPUT

from auscult.machine.hardware import ACCELERATORS, STRATEGIES
from auscult.mistake import Mistake
from auscult.program import trainer_options
from auscult.program.trainer_options import INSTEAD, INSTEAD_OF_EXPLAINING, OPTIONS, PRECISIONS, check_trainer
from tests.conftest import TINY

ARGUMENTS = [name for name in inspect.signature(Trainer).parameters if name != "self"]
SENSIBLE = {
    "accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "bf16-mixed", "max_epochs": 2, "min_epochs": 1,
    "max_steps": 3, "min_steps": 1, "max_time": '"00:01:00:00"', "gradient_clip_val": 0.5,
    "gradient_clip_algorithm": "value", "accumulate_grad_batches": 2, "limit_train_batches": 0.1,
    "limit_val_batches": 0.2,
    "limit_test_batches": 1.0, "limit_predict_batches": 3, "overfit_batches": 2, "val_check_interval": 0.5,
    "check_val_every_n_epoch": 1, "num_sanity_val_steps": 2, "reload_dataloaders_every_n_epochs": 1,
    "log_every_n_steps": 0, "enable_progress_bar": False, "enable_model_summary": True, "enable_autolog_hparams": False,
    "inference_mode": False, "deterministic": "warn", "benchmark": False, "detect_anomaly": True, "profiler": "simple",
    "sync_batchnorm": True,
}  # fmt: skip


def test_every_argument_is_known():
    assert set(OPTIONS) | set(INSTEAD) == set(ARGUMENTS) and not set(OPTIONS) & set(INSTEAD)
    assert set(INSTEAD_OF_EXPLAINING) <= set(ARGUMENTS)
    assert set(SENSIBLE) == set(OPTIONS)
    assert set(PRECISIONS) == {value for part in get_args(_PRECISION_INPUT) for value in get_args(part) or (part,)} - {
        type(None)
    }


@pytest.mark.slow
def test_accelerators_are_lightnings():
    assert all(name.startswith(STRATEGIES) for name in StrategyRegistry.available_strategies())
    assert set(ACCELERATORS) == {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SENSIBLE)
def test_a_sensible_value_passes(train_here, tmp_path, name):
    plus = "" if name not in ("limit_predict_batches", "enable_autolog_hparams") else "+"
    options = [*TINY, "model=melcnn", "task=sex", f"{plus}trainer.{name}={SENSIBLE[name]}", "hydra.run.dir=run"]
    assert train_here(*options) == ""
    assert (tmp_path / "run/metrics.json").exists()
    assert len(list((tmp_path / "run").glob("*-profile.txt"))) == (2 if name == "profiler" else 0)


@pytest.mark.parametrize("plus", ["", "+"])
@pytest.mark.parametrize("name", INSTEAD)
def test_what_the_program_sets_is_refused_with_the_way(train_here, tmp_path, name, plus):
    said = train_here(f"{plus}trainer.{name}=7", "hydra.run.dir=run")
    assert said.startswith(f"trainer.{name}=") and INSTEAD[name][1] in said and "\n" not in said


@pytest.mark.slow
@pytest.mark.parametrize("plus", ["", "+"])
def test_explaining_says_what_it_takes(explain_here, benchmark_here, trained, plus):
    for here in (explain_here, benchmark_here):
        said = here(f"checkpoint={trained('audionet', 'sex')}", f"{plus}trainer.fast_dev_run=true", "hydra.run.dir=run")
        assert said.startswith("trainer.fast_dev_run=") and "limit=1" in said


def test_values_that_change_nothing_pass():
    assert check_trainer({"fast_dev_run": False, "num_nodes": 1, "barebones": False, "max_epochs": 3}) == {
        "max_epochs": 3
    }


@pytest.mark.parametrize(
    "name", [name for name, kind in OPTIONS.items() if not isinstance(kind, trainer_options.Anything)]
)
@pytest.mark.parametrize("value", ["banana", -7, float("nan"), [1], {"a": 1}, float("inf")])
def test_nonsense_is_named(name, value):
    with pytest.raises(Mistake, match=f"^trainer.{name}=.* is not "):
        check_trainer({name: value})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["trainer.limit_train_batches=1.5"],
            "trainer.limit_train_batches=1.5 is not a whole number of batches, a share",
        ),
        (["trainer.limit_val_batches=50%"], "trainer.limit_val_batches=50% is not a whole number of batches, a share"),
        (["trainer.limit_val_batches=0.0"], "trainer.limit_val_batches=0 would"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0 would leave nothing to test"),
        (["trainer.check_val_every_n_epoch=9"], "trainer.check_val_every_n_epoch=9 would validate none of 8 epochs"),
        (
            ["trainer.check_val_every_n_epoch=null"],
            "trainer.check_val_every_n_epoch=null needs trainer.val_check_interval",
        ),
        (["trainer.min_epochs=9"], "trainer.min_epochs=9 is more than trainer.max_epochs=8."),
        (["+trainer.max_epoch=9"], "trainer.max_epoch is not an argument of Lightning's Trainer (did you mean"),
        (["trainer=null"], "trainer=null is no choice of trainer; choose one of default."),
        (
            ["trainer.devices=0", "data=folder", "data.root=nowhere"],
            "trainer.devices=0 is no choice of devices",
        ),  # before recordings are looked for
        (["trainer.devices=[]"], "trainer.devices=[] is no choice"),
        (["trainer.devices={a:1}"], "trainer.devices={'a': 1} is no choice"),
        (["trainer.accelerator=[cpu]"], "trainer.accelerator=['cpu'] is not one of"),
        (["trainer.strategy=banana"], "trainer.strategy=banana is unknown"),
        (
            [*TINY, "trainer.max_steps=1"],
            "trainer: the run ends after step 1, but its first validation comes after step 2;",
        ),
        (
            [*TINY, "trainer.max_epochs=-1", "trainer.max_steps=3", "trainer.check_val_every_n_epoch=2"],
            "trainer: the run",
        ),
        ([*TINY, "trainer.limit_test_batches=0.001"], "trainer.limit_test_batches=0.001 of 15 batches is none;"),
        ([*TINY, "trainer.limit_val_batches=0.001"], "trainer: You requested to check 0.001 of the `val_dataloader`"),
        ([*TINY, "trainer.val_check_interval=5"], "trainer: `val_check_interval` (5) must be less than or equal"),
    ],
)
def test_a_sentence_comes_before_the_training(train_here, options, says, caplog):
    said = train_here(*options)
    assert said.startswith(says) and "\n" not in said and "Traceback" not in caplog.text
    assert "epoch 1" not in caplog.text


@pytest.mark.slow
def test_what_was_not_measured_in_an_epoch_is_not_written(train_here, tmp_path, caplog):
    options = [*TINY, "model=melcnn", "task=sex", "hydra.run.dir=run"]
    assert train_here(*options, "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=2") == ""
    table = pd.read_csv(tmp_path / "run/metrics.csv")
    for name in ("val/accuracy", "val/loss"):
        assert table[name].notna().tolist() == [False, True, False, True]
    assert table["train/loss"].notna().all()
    lines = [line for line in (tmp_path / "run/train.log").read_text().splitlines() if "epoch " in line]
    assert ["val/" in line for line in lines] == [False, True, False, True]


def test_an_epoch_that_did_not_finish_has_no_score(train_here, tmp_path):
    options = [*TINY, "model=melcnn", "task=sex", "hydra.run.dir=run", "optimizer.lr=0"]
    assert train_here(*options, "trainer.max_epochs=4", "trainer.max_steps=3") == ""
    table = pd.read_csv(tmp_path / "run/metrics.csv")
    assert table["val/accuracy"].notna().tolist() == [True, False]
    assert pd.read_json(tmp_path / "run/metrics.json", typ="series")["epochs"] == 1
    assert "epoch 2/4 (stopped after 1 of 2 batches): train/" in (tmp_path / "run/train.log").read_text()
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] == 2  # the weights that were validated
