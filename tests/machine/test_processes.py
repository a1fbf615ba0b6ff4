"""Training on two CPU processes at once, as on two GPUs."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from auscult.machine import processes
from tests.conftest import SPOKEN_PATTERN

# What a process draws at random depends on its rank, so that nothing random may be left to compare with one process.
PLAIN = [
    "data=folder", SPOKEN_PATTERN, "task=label", "task.label=digit", "model=alexnet", "model.network.dropout=0",
    "augmentation.speed=0", "data.batch_size=8", "trainer.max_epochs=2", "trainer.limit_train_batches=1",
]  # fmt: skip
TWO = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]


@pytest.fixture
def uneven_folder(spoken_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`spoken_folder` with five clips of each of the five speakers, which two processes cannot share evenly."""
    folder = tmp_path_factory.mktemp("uneven")
    for path in spoken_folder.glob("*.wav"):
        if not (path.name.startswith("say-2") and path.name.endswith("-1.wav")):
            (folder / path.name).symlink_to(path)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_processes_do_what_one_does(train_here, tmp_path, uneven_folder, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")  # a job of a queue, which Lightning would not let start processes
    plain = [*PLAIN, f"data.root={uneven_folder}"]
    environment = dict(os.environ)
    assert train_here("-m", "fold=0,1", *plain, *TWO, "logger=wandb", "hydra.sweep.dir=two") == ""
    assert not {"LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", processes.RUN_FOLDER} & os.environ.keys()
    assert {name: os.environ[name] for name in environment} == environment
    assert files(tmp_path / "two") - files(tmp_path / "two/0") >= {"multirun.yaml", "summary.csv", "summary.md"}
    folders = sorted(path.name for path in (tmp_path / "two").iterdir() if path.is_dir())
    assert folders == ["0", "1", "wandb"]  # the last one is the run of the sweep's summary
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert pd.read_csv(tmp_path / "two/summary.csv")["error"].isna().all()

    for fold in (0, 1):
        two, one = tmp_path / "two" / str(fold), tmp_path / f"one{fold}"
        assert train_here(f"fold={fold}", *plain, f"hydra.run.dir={one}") == ""
        assert len(list(two.glob("wandb/offline-run-*/run-*.wandb"))) == 1
        assert {name for name in files(two) if not name.startswith("wandb/")} == files(one)
        ours, theirs = (json.loads((run / "metrics.json").read_text()) for run in (one, two))
        for name in ours.keys() - {"seconds"}:
            assert theirs[name] == pytest.approx(ours[name], abs=1e-4), name
        ours, theirs = (pd.read_csv(run / "predictions.csv") for run in (one, two))
        assert len(theirs) == theirs["path"].nunique() == 5
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=0, atol=1e-4)
        columns = ["epoch", "step", "train/loss", "val/loss", "val/accuracy", "learning_rate"]
        ours, theirs = (pd.read_csv(run / "metrics.csv")[columns] for run in (one, two))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=0, atol=1e-4)


def children(process: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(number) for number in listed.stdout.split()]


@pytest.mark.slow
def test_a_killed_process_ends_its_job_and_no_other(start_training, tmp_path, uneven_folder):
    sweep = start_training("-m", *PLAIN, *TWO, f"data.root={uneven_folder}", "optimizer=paper",
                           "trainer.max_epochs=10000,1", "trainer.max_steps=-1", "hydra.sweep.dir=sweep")  # fmt: skip
    while not (tmp_path / "sweep/0/metrics.csv").exists() and sweep.poll() is None:
        time.sleep(0.1)
    (other,) = children(sweep.pid)
    os.kill(other, signal.SIGKILL)
    said, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    assert "1 of 2 jobs failed; summary.csv says why." in said
    table = pd.read_csv(tmp_path / "sweep/summary.csv")
    assert table["error"].notna().tolist() == [True, False]


@pytest.mark.parametrize("noticed", [True, False])
def test_the_first_process_is_killed_only_if_it_hangs(monkeypatch, noticed):
    from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

    processes._let_first_process_notice()
    monkeypatch.setattr(processes, "SECONDS_TO_NOTICE", 1.0)
    killed = []
    monkeypatch.setattr(os, "kill", lambda *which: killed.append(which))
    failed = [subprocess.Popen(["false"])]
    failed[0].wait()
    observer = _ChildProcessObserver(main_pid=12345, child_processes=failed, sleep_period=0)
    observer.start()
    time.sleep(0.3)
    if noticed:
        failed.clear()
    observer.join(10)
    assert killed == ([] if noticed else [(12345, signal.SIGKILL)])


def test_a_process_joins_the_run_that_the_first_one_names(monkeypatch, tmp_path):
    monkeypatch.delenv(processes.RUN_FOLDER, raising=False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert processes.folder_of_first_process() is None
    monkeypatch.setenv(processes.RUN_FOLDER, str(tmp_path))
    assert processes.folder_of_first_process() == tmp_path
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert processes.folder_of_first_process() is None
