"""`optimizer=paper` alone is the published recipe, whoever says otherwise gets that, and the run says which it is."""

import json
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from auscult.checkpoint.card import checked_card
from auscult.checkpoint.checkpoint import CheckpointFiles
from auscult.checkpoint.keeping import KeepBest, KeepFinal
from auscult.datamodules.datamodule import AudioDataModule
from auscult.modules.classifier import Classifier
from auscult.program import config, earlier_run
from auscult.program.conf import selected
from auscult.run.recipe import PUBLISHED, departures, said_of
from auscult.run.training import say_what_is_unusual
from tests.conftest import TINY
from tests.program.test_config import composed

TODAYS = {
    "data.placement": "each_epoch",
    "augmentation.shift": 0,
    "augmentation.speed": 0.1,
    "label_smoothing": 0.1,
    "weights": "best",
}


@pytest.mark.parametrize("model", ["audionet", "alexnet"])
@pytest.mark.parametrize("more", [[], ["data=audiomnist"], ["data=esc50", "task=sound", "data.clip.sample_rate=2000"]])
def test_the_optimizer_alone_brings_the_published_recipe(model, more):
    published = config.check(composed(f"model={model}", "optimizer=paper", *more))
    assert {option: selected(published, option) for option in PUBLISHED} == PUBLISHED
    steps, rate = {"audionet": (50_000, 1e-4), "alexnet": (10_000, 1e-3)}[model]
    assert (published["trainer"]["max_steps"], published["optimizer"]["lr"]) == (steps, rate)
    assert published["data"]["batch_size"] == 100 and published["trainer"]["max_epochs"] == -1
    assert departures(published) == []


def test_the_default_recipe_stays():
    ours = config.check(composed("data=audiomnist"))
    assert {option: selected(ours, option) for option in TODAYS} == TODAYS
    assert config.check(composed("data=esc50", "task=sound"))["augmentation"]["shift"] == 1
    assert said_of(ours) == ""


HUM = ["data.confound.kind=hum", "data.confound.class=female", "task=sex"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], ""),
        (["optimizer.lr=0"], "optimizer.lr=0: the network learns nothing."),
        (HUM, "augmentation.speed=0.1 moves the planted hum in training; say augmentation.speed=0."),
        ([*HUM, "augmentation.speed=0"], ""),
        ([*HUM, "data.confound.kind=lead_in"], ""),  # another speed leaves it silent
    ],
)
def test_values_that_spoil_a_run_are_warned_of(options, says, caplog):
    say_what_is_unusual(config.check(composed("model=audionet", *options)))
    assert caplog.messages == [says] * bool(says)


@pytest.mark.parametrize("more", [[], ["experiment=table1"]])
def test_what_is_typed_is_done_and_said(more):
    typed = ["augmentation.speed=0.2", "label_smoothing=0.05", "weights=best", "data.placement=each_epoch"]
    mixed = config.check(composed("optimizer=paper", *typed, "optimizer.lr=1", *more))
    for each in typed:
        option, _, value = each.partition("=")
        assert str(selected(mixed, option)) == value
        assert f"{option}={value}" in departures(mixed)
    assert said_of(mixed).endswith("weights=best, optimizer.lr=1.") and "\n" not in said_of(mixed)
    whole = config.check(composed("optimizer=paper", *more))
    assert said_of(whole) == (
        "optimizer=paper: as published (one place in its silence for each clip, no augmentation, plain cross-entropy,"
        " the weights of the last step)."
    )


def test_table_1_says_and_does_the_published_way_when_asked():
    asked = ["experiment=table1", "data=audiomnist", "optimizer=paper"]
    assert "say data.clip.preparation=published for the published way" in said_of(config.check(composed(*asked)))
    whole = config.check(composed(*asked, "data.clip.preparation=published"))
    assert whole["data"]["clip"] | {"seconds": 1} == {
        "sample_rate": 8000, "seconds": 1, "highpass_hz": None, "trim_db": None, "min_seconds": 0.05,
        "preparation": "published", "short": "pad", "channels": 1,
    }  # fmt: skip
    assert departures(whole) == [] and "prepared" not in said_of(whole)


def test_a_checkpoint_remembers_how_clips_are_made():
    asked = ["data=audiomnist", "optimizer=paper", "data.clip.preparation=published"]
    speakers = {"train": ["01"], "validation": ["02"], "test": ["03"]}
    card = checked_card({"config": config.check(composed(*asked)), "classes": ["0", "1"], "speakers": speakers})
    module = AudioDataModule.from_config({**card["config"]}, division=SimpleNamespace(corpus=None))
    assert module.settings.preparation == "published" and module.is_fixed


@pytest.mark.parametrize("option", ["weights", "data.placement", "data.clip.preparation"])
def test_unknown_values_are_named(option):
    with pytest.raises(config.Mistake, match=rf"{option}=odd is unknown; choose \w+( or \w+)+\."):
        config.check(composed(f"{option}=odd"))


@pytest.mark.parametrize("optimizer", ["paper", "adamw"])
def test_nothing_changes_training_clips_and_the_loss_is_plain(optimizer):
    torch.manual_seed(0)
    classifier = Classifier.from_config(config.check(composed("model=alexnet", f"optimizer={optimizer}")), ["a", "b"])
    waveform, logits = torch.randn(4, 1, 8000), torch.tensor([[2.0, -1.0]])
    is_same = torch.equal(classifier.augmentation.train()(waveform), waveform)
    plain = torch.log1p(torch.exp(torch.tensor(3.0)))  # -log softmax of the second of two
    is_plain = torch.isclose(classifier.answers.training_loss(logits, torch.tensor([1])), plain)
    assert (is_same, bool(is_plain)) == ((optimizer == "paper",) * 2)


class Counting(LightningModule):
    """A weight that counts its steps, and is validated worse and worse."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return -self.steps

    def validation_step(self, batch: torch.Tensor) -> None:
        self.log("val/accuracy", 1 - self.steps / 100)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


@pytest.mark.parametrize(("max_steps", "weights"), [(12, 12), (10, 10)])  # at an epoch's end, and within one
@pytest.mark.parametrize(("kept", "best"), [(KeepFinal, None), (KeepBest, 4)])
def test_the_last_step_has_the_last_word(tmp_path, kept, best, max_steps, weights):
    keeper = kept(tmp_path)
    trainer = Trainer(
        accelerator="cpu", max_steps=max_steps, max_epochs=-1, callbacks=[keeper], logger=False,
        plugins=[CheckpointFiles({})], enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    batches = DataLoader(torch.zeros(4), batch_size=1)  # an epoch has four steps
    trainer.fit(Counting(), batches, batches)
    assert keeper.best_model_path == str(tmp_path / "best.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]
    held = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert held["state_dict"]["steps"] == (best or weights) and "optimizer_states" not in held


@pytest.mark.slow
def test_a_run_tests_and_keeps_its_last_weights(train_here, tmp_path):
    short = ["trainer.max_epochs=3", "trainer.max_steps=5", "trainer.limit_train_batches=2"]  # ends within an epoch
    run = ["model=alexnet", "task=sex", "optimizer=paper", *TINY, *short, "keep_last=true", "hydra.run.dir=run"]
    assert train_here(*run) == ""
    assert "optimizer=paper: as published (" in (tmp_path / "run/train.log").read_text().splitlines()[0]
    best, last = (torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["global_step"] == last["global_step"] == 5
    assert all(torch.equal(value, last["state_dict"][name]) for name, value in best["state_dict"].items())
    assert best["auscult"]["config"]["weights"] == "last"
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert 0 <= metrics["val/accuracy"] <= 1
    (tmp_path / "run/metrics.json").unlink()  # as if it had been stopped before its test
    (tmp_path / "run/checkpoints/best.ckpt").unlink()
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    again = json.loads((tmp_path / "run/metrics.json").read_text())
    assert again | {"seconds": 0} == metrics | {"seconds": 0}


def test_a_stopped_run_of_an_earlier_version_is_the_same_still(tmp_path):
    ours = config.check(composed())
    earlier = json.loads(json.dumps(ours))
    del earlier["weights"], earlier["data"]["placement"], earlier["data"]["clip"]["preparation"]
    (tmp_path / "config.yaml").write_text(json.dumps(earlier))
    assert earlier_run.holds_same(tmp_path, ours)
    assert not earlier_run.holds_same(tmp_path, config.check(composed("weights=last")))
