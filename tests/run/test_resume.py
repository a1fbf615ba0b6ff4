"""A run that was killed goes on as if it had not been."""

import json
import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from filelock import FileLock

from auscult.machine.lock import LOCK
from auscult.run import folder as run_folder
from auscult.run.epoch_table import EpochTable
from tests.attacks import changed
from tests.conftest import SPOKEN_PATTERN, TINY, run_program

# dropout, augmentation and random places are on: what they draw must not depend on the interruption
RUN = [*TINY, "model=alexnet", "task=sex", "trainer.max_epochs=3", "augmentation.speed=0.1", "hydra.run.dir=run"]


def same(one: Path, other: Path) -> None:
    columns = ["epoch", "step", "train/loss", "val/loss", "train/accuracy", "val/accuracy"]
    left, right = (pd.read_csv(run / "metrics.csv")[columns] for run in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=0, atol=0)
    left, right = (pd.read_csv(run / "predictions.csv") for run in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=0, atol=0)


class Killed(BaseException):
    pass


def killed_in_second_epoch(train, *options):
    """Trains, and is killed as the second epoch is validated."""
    from auscult.modules.classifier import Classifier

    def die(self):
        if self.current_epoch == 1:
            raise Killed

    with pytest.MonkeyPatch.context() as during:
        during.setattr(Classifier, "on_validation_start", die)
        with pytest.raises(Killed):
            train(*options)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, cache_dir):
    """The folder of a run that was killed."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    options = [*TINY, "model=melcnn", "trainer.max_epochs=3", f"data.cache_dir={cache_dir}", f"hydra.run.dir={folder}"]
    killed_in_second_epoch(partial(run_program, "train"), *options)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], marks=pytest.mark.slow),
        pytest.param(["trainer.max_steps=1000"], marks=pytest.mark.slow),
        pytest.param(["trainer.max_steps=5"], marks=pytest.mark.slow),
        pytest.param(["model=audionet", "optimizer=paper"], marks=pytest.mark.slow),
        pytest.param(["trainer.val_check_interval=0.5"], marks=pytest.mark.slow),
        pytest.param(["trainer.check_val_every_n_epoch=2"], marks=pytest.mark.slow),
        pytest.param(["trainer.accumulate_grad_batches=2"], marks=pytest.mark.slow),
    ],
)
def test_resumed_equals_uninterrupted(train_here, tmp_path, options):
    assert train_here(*RUN, *options, "hydra.run.dir=whole") == ""

    killed_in_second_epoch(train_here, *RUN, *options)
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


@pytest.mark.slow
def test_a_moved_run_keeps_its_best(train_here, tmp_path):
    assert train_here(*RUN, "keep_last=true") == ""
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["epoch"]
    (tmp_path / "run").rename(tmp_path / "moved")
    before = (tmp_path / "moved/predictions.csv").read_bytes()
    assert train_here("ckpt_path=moved/checkpoints/last.ckpt") == ""
    assert (tmp_path / "moved/predictions.csv").read_bytes() == before
    assert torch.load(tmp_path / "moved/checkpoints/best.ckpt", weights_only=True)["epoch"] == best


@pytest.mark.slow
def test_a_run_is_neither_overwritten_nor_resumed_on_other_speakers(train_here, tmp_path, spoken_folder):
    root = shutil.copytree(spoken_folder, tmp_path / "clips")
    run = ["data=folder", "data.root=clips", SPOKEN_PATTERN, "task=label", "task.label=digit", "model=alexnet",
           "data.batch_size=6", "trainer.max_epochs=1", "hydra.run.dir=run", "keep_last=true"]  # fmt: skip
    assert train_here(*run) == ""
    metrics = (tmp_path / "run/metrics.json").read_bytes()
    assert "holds a run already" in train_here(*run)
    assert (tmp_path / "run/metrics.json").read_bytes() == metrics
    for path in list(root.glob("*-cem-*")):
        path.rename(path.with_name(path.name.replace("cem", "zoe")))
    assert "was trained on other speakers" in train_here("ckpt_path=run/checkpoints/last.ckpt")


@pytest.mark.slow
def test_mistakes(train_here, tmp_path):
    assert train_here(*RUN, "trainer.max_epochs=1", "keep_last=true") == ""
    folder = tmp_path / "run/checkpoints"
    last = f"ckpt_path={folder / 'last.ckpt'}"
    assert "was trained with model=alexnet, not audionet" in train_here(last, "model=audionet")
    assert "was trained with task=sex, not digit" in train_here(last, "task=digit")
    assert "holds weights only; resume from the last.ckpt" in train_here(f"ckpt_path={folder / 'best.ckpt'}")
    content = (folder / "last.ckpt").read_bytes()
    (folder / "last.ckpt").write_bytes(content[: len(content) // 3])
    assert "cannot be read (truncated" in train_here(last)


PAPER = ["model=audionet", "task=sex", "optimizer=paper", *TINY, "keep_last=true", "hydra.run.dir=run"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["max_epochs", "max_steps"])
def test_a_run_is_not_ended_by_a_mistyped_length(train_here, tmp_path, name):
    options = [*PAPER, "trainer.max_epochs=2"]
    assert train_here(*options) == ""
    (tmp_path / "run/metrics.json").unlink()
    before = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    said = train_here("ckpt_path=run/checkpoints/last.ckpt", f"trainer.{name}=1")
    count = {"max_epochs": 2, "max_steps": 4}[name]
    assert said.startswith(f"trainer.{name}=1 is less than the {count} that ckpt_path=") and "\n" not in said
    assert before == {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_what_cannot_go_on_leaves_the_configuration(train_here, tmp_path):
    assert train_here(*PAPER) == ""
    last, config = tmp_path / "run/checkpoints/last.ckpt", (tmp_path / "run/config.yaml").read_bytes()
    honest = last.read_bytes()
    for change in (
        lambda content: content.update(optimizer_states=[{}]),
        lambda content: content["lr_schedulers"][0].update(step_size=0),
        lambda content: content["loops"]["fit_loop"]["epoch_progress"]["current"].update(
            dict.fromkeys(("ready", "started", "processed", "completed"), -(10**12))
        ),
    ):
        last.write_bytes(honest)
        changed(last, last, change)
        assert "its state does not fit the run" in train_here(f"ckpt_path={last}", "trainer.max_epochs=3")
        assert (tmp_path / "run/config.yaml").read_bytes() == config


@pytest.mark.parametrize("content", [b"a;b\n1;2\n", b"", b"\xff\xfe", b"epoch\none\n", None])
def test_a_table_for_people_decides_nothing(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    table = EpochTable(path)
    table.on_train_start(SimpleNamespace(is_global_zero=True, current_epoch=2), None)
    assert table.rows == [] and not path.exists()
    aside = tmp_path / "metrics.unreadable.csv"
    assert aside.is_dir() if content is None else aside.read_bytes() == content


@pytest.mark.slow
def test_a_complete_run_lets_last_go_unless_it_is_asked_for(train_here, tmp_path):
    run = [*TINY, "model=alexnet", "task=sex"]
    assert train_here(*run, "hydra.run.dir=run") == ""
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["best.ckpt"]
    said = train_here("ckpt_path=run/checkpoints/last.ckpt")
    assert (
        said.startswith("ckpt_path=run/checkpoints/last.ckpt has nothing to go on with: the run in")
        and "to train for longer, start another run" in said
    )
    assert train_here(*run, "keep_last=maybe") == "keep_last=maybe is neither true nor false."


def test_last_stays_where_there_is_more_to_do(tmp_path):
    last = tmp_path / "checkpoints/last.ckpt"
    last.parent.mkdir()
    whole = {"trainer": {"max_epochs": 3, "max_time": None}}
    timed = {"trainer": {"max_epochs": 3, "max_time": "00:01:00:00"}}
    for config, epochs, stays in [
        (whole, 3, False), (whole, 2, False), (whole | {"keep_last": True}, 3, True),
        (whole | {"keep_last": False}, 3, False),
        (timed, 3, False), (timed, 2, True), ({"trainer": {"max_epochs": -1, "max_time": "00:01:00:00"}}, 2, True),
    ]:  # fmt: skip
        last.touch()
        run_folder.drop_last(tmp_path, config, {"epochs": epochs})
        assert last.exists() == stays


@pytest.mark.slow
def test_a_run_whose_explanation_fails_keeps_last(train_here, tmp_path, monkeypatch):
    from auscult.explain import at_end

    def fail(*arguments):
        raise OSError("no room")

    monkeypatch.setattr(at_end, "explain_run", fail)
    assert train_here(*TINY, "model=alexnet", "task=sex", "explain_by=[amplitude]", "hydra.run.dir=run") == "1"
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()


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


def spoiled(content, option, value):
    """A checkpoint's content with something else at `option`, whose parts are keys or places."""
    *way, last = option
    node = content
    for key in way:
        node = node[next(iter(node))] if key is None else node[key]
    node[next(iter(node)) if last is None else last] = value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value"),
    [
        (["callbacks", None, "best_model_score"], "high"), (["callbacks", None, "best_model_score"], None),
        (["optimizer_states", 0, "state", 0, "exp_avg"], torch.zeros(3)), (["optimizer_states", 0, "state"], 3),
        (["optimizer_states", 0, "param_groups", 0, "lr"], "fast"), (["optimizer_states"], "none"),
        (["optimizer_states", 0, "param_groups"], []), (["lr_schedulers"], {}), (["lr_schedulers"], [3]),
        (["loops", "fit_loop"], 3), (["loops"], None), (["epoch"], "one"), (["global_step"], {}), (["state_dict"], {}),
        (["callbacks"], [1]), (["pytorch-lightning_version"], 7),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_ends_in_a_sentence(train_here, stopped, tmp_path, option, value):
    content = torch.load(stopped / "checkpoints/last.ckpt", weights_only=True)
    shutil.copytree(stopped, tmp_path / "run")
    spoiled(content, option, value)
    torch.save(content, tmp_path / "run/checkpoints/last.ckpt")
    said = train_here("ckpt_path=run/checkpoints/last.ckpt")
    assert "\n" not in said and (said == "" or "ckpt_path=" in said), said


@pytest.mark.slow
def test_a_state_deletes_nothing(train_here, stopped, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "work").write_text("years")
    shutil.copytree(stopped, tmp_path / "run")
    last = tmp_path / "run/checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    for state in content["callbacks"].values():
        if isinstance(state, dict) and "best_model_path" in state:
            # within the folder, as Lightning looks at it
            there = str(tmp_path / "run/checkpoints/../../precious")
            names = ("best_model_path", "kth_best_model_path", "last_model_path")
            state |= {"dirpath": str(tmp_path / "run/checkpoints"), **dict.fromkeys(names, there)}
            state["best_k_models"] = {there: torch.tensor(0.0)}
    torch.save(content, last)
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    assert (precious / "work").read_text() == "years"


@pytest.fixture
def killed_in_epoch(train_here, monkeypatch):
    """Trains until the validation of an epoch."""
    from auscult.modules.classifier import Classifier

    def train(epoch, *options):
        def die(self):
            if self.current_epoch == epoch:
                raise Killed

        with monkeypatch.context() as during, pytest.raises(Killed):
            during.setattr(Classifier, "on_validation_start", die)
            train_here(*options)

    return train


SMALL = [*TINY, "model=melcnn", "task=sex", "hydra.run.dir=run"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_epochs_are_not_trained_over_even_without_their_checkpoint(train_here, killed_in_epoch, tmp_path):
    three = [*SMALL, "trainer.max_epochs=3"]
    killed_in_epoch(2, *three)
    (tmp_path / "run/checkpoints/last.ckpt").unlink()
    assert "holds a run already" in train_here(*three)


@pytest.mark.slow
def test_a_run_is_resumed_by_one_at_a_time(train_here, tmp_path):
    assert train_here(*SMALL, "keep_last=true") == ""
    before = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    with FileLock(tmp_path / "run" / LOCK):  # as another process that resumes it
        said = train_here("ckpt_path=run/checkpoints/last.ckpt")
        again = train_here(*SMALL, "keep_last=true")
    (tmp_path / "run" / LOCK).unlink()
    assert said.startswith(f"another process is training in {tmp_path / 'run'};") and "\n" not in said
    assert "holds a run already" in again
    after = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    assert before == after


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:5000])])
def test_a_best_checkpoint_that_is_gone_is_chosen_anew(train_here, killed_in_epoch, tmp_path, damage):
    best, last = tmp_path / "run/checkpoints/best.ckpt", tmp_path / "run/checkpoints/last.ckpt"
    killed_in_epoch(1, *SMALL, "trainer.max_epochs=2", "keep_last=true")
    damage(best)
    assert train_here(f"ckpt_path={last}", "keep_last=true") == ""  # another epoch comes
    assert "the best is chosen anew" in (tmp_path / "run/train.log").read_text()
    assert torch.load(best, weights_only=True)["epoch"] == 1
    assert "val/accuracy" in json.loads((tmp_path / "run/metrics.json").read_text())
    damage(best)
    assert train_here(f"ckpt_path={last}") == ""  # none does
    held, tested = weights(last), weights(best)
    assert held.keys() == tested.keys() and all(torch.equal(held[name], tested[name]) for name in held)
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert "test/accuracy" in metrics and "val/accuracy" not in metrics  # which was measured of the one that is gone


@pytest.mark.slow
def test_a_best_checkpoint_of_another_run_is_refused(train_here, trained, tmp_path):
    assert train_here(*SMALL, "keep_last=true") == ""
    shutil.copy(trained("audionet", "sex"), tmp_path / "run/checkpoints/best.ckpt")
    said = train_here("ckpt_path=run/checkpoints/last.ckpt")
    assert "best.ckpt is of another run than the last.ckpt beside it;" in said and "\n" not in said


@pytest.mark.slow
def test_each_run_has_its_own_max_time(train_here, monkeypatch, tmp_path):
    from pytorch_lightning.callbacks import Timer

    options = [*SMALL, "trainer.max_epochs=3", "trainer.max_time=00:01:00:00"]
    best = tmp_path / "run/checkpoints/best.ckpt"
    with monkeypatch.context() as during:  # an hour is over after the first validation
        during.setattr(Timer, "time_elapsed", lambda self, stage="train": 3600.0 * best.exists())
        assert train_here(*options) == ""
    assert json.loads((tmp_path / "run/metrics.json").read_text())["epochs"] == 1
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    assert pd.read_csv(tmp_path / "run/metrics.csv")["epoch"].tolist() == [0, 1, 2]


LINKED = [
    "metrics.json",
    "config.yaml",
    "train.log",
    "relevance",
    "checkpoints",
    "wandb/id.txt",
    "relevance/epoch-001/0.png",
]


@pytest.mark.parametrize("name", LINKED)
def test_links_in_a_run_folder_are_not_written_to(train_here, stopped, tmp_path, name):
    shutil.copytree(stopped, tmp_path / "run")
    target, link = tmp_path / "precious", tmp_path / "run" / name
    if name == "checkpoints":
        link.rename(target)
    else:
        target.write_text("years")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
    link.symlink_to(target)
    before = sorted((path, path.is_file() and path.read_bytes()) for path in [target, *target.glob("*")])
    said = train_here("ckpt_path=run/checkpoints/last.ckpt")
    assert "is a link that leads out of" in said and "\n" not in said
    assert before == sorted((path, path.is_file() and path.read_bytes()) for path in [target, *target.glob("*")])


@pytest.mark.slow
def test_a_multirun_that_is_repeated_trains_what_is_not_complete(train_here, killed_in_epoch, tmp_path):
    sweep = ["-m", *SMALL[:-1], "trainer.max_epochs=2", "hydra.sweep.dir=sweep", "fold=0,1"]
    killed_in_epoch(1, *sweep)
    assert not (tmp_path / "sweep/0/metrics.json").exists()
    assert train_here(*sweep) == ""
    assert pd.read_csv(tmp_path / "sweep/0/metrics.csv")["epoch"].tolist() == [0, 1]
    assert pd.read_csv(tmp_path / "sweep/summary.csv")["error"].isna().all()
    before = (tmp_path / "sweep/0/metrics.json").read_bytes()
    assert train_here(*sweep) == ""
    assert (tmp_path / "sweep/0/metrics.json").read_bytes() == before
    assert "holds a sweep already" in train_here(*sweep, "seed=1")
