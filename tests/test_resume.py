"""A run that was killed goes on as if it had not been."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock

from tests.conftest import SPOKEN_PATTERN, TINY

# dropout, augmentation and random places are on: what they draw must not depend on the interruption
RUN = [*TINY, "model=alexnet", "task=sex", "trainer.max_epochs=3", "augmentation.speed=0.1", "hydra.run.dir=run"]


def same(one: Path, other: Path) -> None:
    columns = ["epoch", "step", "train/loss", "val/loss", "train/accuracy", "val/accuracy"]
    left, right = (pd.read_csv(run / "metrics.csv")[columns] for run in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=0, atol=0)
    left, right = (pd.read_csv(run / "predictions.csv") for run in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=0, atol=0)


def test_resumed_equals_uninterrupted(train_here, tmp_path, monkeypatch):
    assert train_here(*RUN, "hydra.run.dir=whole") == ""

    class Killed(BaseException):
        pass

    def die(self):
        if self.current_epoch == 1:
            raise Killed

    from src.modules.classifier import Classifier

    with monkeypatch.context() as during:
        during.setattr(Classifier, "on_validation_start", die)
        with pytest.raises(Killed):
            train_here(*RUN)
    assert not (tmp_path / "run/metrics.json").exists()
    record = (tmp_path / "run/.hydra/overrides.yaml").read_text()
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    same(tmp_path / "whole", tmp_path / "run")
    assert (tmp_path / "run/.hydra/overrides.yaml").read_text() == record
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_sigkill_at_any_moment(start_training, tmp_path):
    # all in processes of their own: this one's may have another number of threads, and so other last digits
    assert start_training(*RUN, "hydra.run.dir=whole").wait() == 0
    last = tmp_path / "run/checkpoints/last.ckpt"
    for delay in (0.0, 0.7):  # into the next epoch's training, and into its checkpoint
        process = start_training(*RUN)
        while not last.exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        torch.load(last, weights_only=True)  # whole, whenever the run was killed
        assert start_training("ckpt_path=run/checkpoints/last.ckpt").wait() == 0
        same(tmp_path / "whole", tmp_path / "run")
        for path in sorted((tmp_path / "run").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def test_a_moved_run_keeps_its_best(train_here, tmp_path):
    assert train_here(*RUN) == ""
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["epoch"]
    (tmp_path / "run").rename(tmp_path / "moved")
    before = (tmp_path / "moved/predictions.csv").read_bytes()
    assert train_here("ckpt_path=moved/checkpoints/last.ckpt") == ""
    assert (tmp_path / "moved/predictions.csv").read_bytes() == before
    assert torch.load(tmp_path / "moved/checkpoints/best.ckpt", weights_only=True)["epoch"] == best


def test_a_run_is_neither_overwritten_nor_resumed_on_other_speakers(train_here, tmp_path, spoken_folder):
    root = shutil.copytree(spoken_folder, tmp_path / "clips")
    run = ["data=folder", "data.root=clips", SPOKEN_PATTERN, "task=label", "task.label=digit", "model=alexnet",
           "data.batch_size=6", "trainer.max_epochs=1", "hydra.run.dir=run"]  # fmt: skip
    assert train_here(*run) == ""
    metrics = (tmp_path / "run/metrics.json").read_bytes()
    assert "holds a run already" in train_here(*run)
    assert (tmp_path / "run/metrics.json").read_bytes() == metrics
    for path in list(root.glob("*-cem-*")):
        path.rename(path.with_name(path.name.replace("cem", "zoe")))
    assert "was trained on other speakers" in train_here("ckpt_path=run/checkpoints/last.ckpt")


def test_mistakes(train_here, tmp_path):
    assert train_here(*RUN, "trainer.max_epochs=1") == ""
    folder = tmp_path / "run/checkpoints"
    last = f"ckpt_path={folder / 'last.ckpt'}"
    assert "was trained with model=alexnet, not audionet" in train_here(last, "model=audionet")
    assert "was trained with task=sex, not digit" in train_here(last, "task=digit")
    assert "holds weights only; resume from the last.ckpt" in train_here(f"ckpt_path={folder / 'best.ckpt'}")
    content = (folder / "last.ckpt").read_bytes()
    (folder / "last.ckpt").write_bytes(content[: len(content) // 3])
    assert "cannot be read (truncated" in train_here(last)


@pytest.mark.slow
def test_whoever_interrupts_is_told_how_to_go_on(start_training, tmp_path):
    process = start_training(*RUN, "trainer.max_epochs=100")
    last = tmp_path / "run/checkpoints/last.ckpt"
    while not last.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"go on with: python train.py ckpt_path={last}" in said and "Traceback" not in said


class Killed(BaseException):
    """Ends a run as nothing that it can prepare for."""


@pytest.fixture
def killed_in_epoch(train_here, monkeypatch):
    """Trains until the validation of an epoch."""
    from src.modules.classifier import Classifier

    def train(epoch, *options):
        def die(self):
            if self.current_epoch == epoch:
                raise Killed

        with monkeypatch.context() as during, pytest.raises(Killed):
            during.setattr(Classifier, "on_validation_start", die)
            train_here(*options)

    return train


SMALL = [*TINY, "model=melcnn", "task=sex", "hydra.run.dir=run"]


def test_the_same_command_goes_on_with_a_run_that_is_not_complete(train_here, killed_in_epoch, tmp_path):
    two = [*SMALL, "trainer.max_epochs=2"]
    killed_in_epoch(0, *two)
    killed_in_epoch(1, *two)  # begins again: nothing was saved
    (tmp_path / "run/checkpoints/last.part").write_text("left by a run that was killed as it wrote")
    assert "holds a run already" in train_here(*two, "seed=1")
    assert train_here(*two) == ""
    assert train_here(*two, "hydra.run.dir=whole") == ""
    same(tmp_path / "whole", tmp_path / "run")
    assert not list(tmp_path.rglob("*.part"))
    assert "holds a run already" in train_here(*two)


def test_epochs_are_not_trained_over_even_without_their_checkpoint(train_here, killed_in_epoch, tmp_path):
    three = [*SMALL, "trainer.max_epochs=3"]
    killed_in_epoch(2, *three)
    (tmp_path / "run/checkpoints/last.ckpt").unlink()
    assert "holds a run already" in train_here(*three)


def test_a_run_is_resumed_by_one_at_a_time(train_here, tmp_path):
    assert train_here(*SMALL) == ""
    before = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    with FileLock(tmp_path / "run/.lock"):  # as another process that resumes it
        said = train_here("ckpt_path=run/checkpoints/last.ckpt")
        again = train_here(*SMALL)
    for refused in (said, again):
        assert refused.startswith(f"another process is training in {tmp_path / 'run'};") and "\n" not in refused
    after = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    assert before == after


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:5000])])
def test_a_best_checkpoint_that_is_gone_is_chosen_anew(train_here, killed_in_epoch, tmp_path, damage):
    best, last = tmp_path / "run/checkpoints/best.ckpt", tmp_path / "run/checkpoints/last.ckpt"
    killed_in_epoch(1, *SMALL, "trainer.max_epochs=2")
    damage(best)
    assert train_here(f"ckpt_path={last}") == ""  # another epoch comes
    assert "the best is chosen anew" in (tmp_path / "run/train.log").read_text()
    assert torch.load(best, weights_only=True)["epoch"] == 1
    assert "val/accuracy" in json.loads((tmp_path / "run/metrics.json").read_text())
    damage(best)
    assert train_here(f"ckpt_path={last}") == ""  # none does
    held, tested = weights(last), weights(best)
    assert held.keys() == tested.keys() and all(torch.equal(held[name], tested[name]) for name in held)
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert "test/accuracy" in metrics and "val/accuracy" not in metrics  # which was measured of the one that is gone


def test_a_best_checkpoint_of_another_run_is_refused(train_here, trained, tmp_path):
    assert train_here(*SMALL) == ""
    shutil.copy(trained("audionet", "sex"), tmp_path / "run/checkpoints/best.ckpt")
    said = train_here("ckpt_path=run/checkpoints/last.ckpt")
    assert "best.ckpt is of another run than the last.ckpt beside it;" in said and "\n" not in said


def test_each_run_has_its_own_max_time(train_here, monkeypatch, tmp_path):
    from pytorch_lightning.callbacks import Timer

    options = [*SMALL, "trainer.max_epochs=3", "trainer.max_time=00:01:00:00"]
    with monkeypatch.context() as during:  # an hour is over after the first step
        during.setattr(Timer, "time_elapsed", lambda self, stage="train": 3600.0 * (self.start_time() is not None))
        assert train_here(*options) == ""
    assert len(pd.read_csv(tmp_path / "run/metrics.csv")) == 1
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    assert pd.read_csv(tmp_path / "run/metrics.csv")["epoch"].tolist() == [0, 1, 2]


def test_a_multirun_that_is_repeated_trains_what_is_not_complete(train_here, killed_in_epoch, tmp_path):
    sweep = ["-m", *SMALL[:-1], "trainer.max_epochs=2", "hydra.sweep.dir=sweep"]
    assert train_here(*sweep, "fold=0") == ""
    before = (tmp_path / "sweep/0/metrics.json").read_bytes()
    killed_in_epoch(1, *sweep, "fold=0,1")
    assert not (tmp_path / "sweep/1/metrics.json").exists()
    assert train_here(*sweep, "fold=0,1") == ""
    assert (tmp_path / "sweep/0/metrics.json").read_bytes() == before
    assert pd.read_csv(tmp_path / "sweep/1/metrics.csv")["epoch"].tolist() == [0, 1]
    assert pd.read_csv(tmp_path / "sweep/summary.csv")["error"].isna().all()
