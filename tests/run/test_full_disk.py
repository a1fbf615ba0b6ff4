"""A disk that is full: one sentence, nothing left that keeps it full, and the run goes on when there is room."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from auscult.explain.relevance.file import RelevanceFile
from auscult.files import full_disk, replacing
from tests.conftest import TINY

RUN = [*TINY, "model=melcnn", "task=sex", "trainer.max_epochs=2", "hydra.run.dir=run"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond `size` bytes meanwhile: what would not fit onto the disk any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def assert_said(said: str, way_on: str) -> None:
    assert said.startswith("Cannot write to ") and way_on in said and "make room" in said and "\n" not in said


@pytest.mark.slow
def test_at_the_first_checkpoint_the_same_command_begins_again(train_here, tmp_path, capfd):
    for size in (5 * 10**6, 10**7):  # too little for best.ckpt, and for last.ckpt
        with room_for(size):
            said = train_here(*RUN)
        assert_said(said, f"repeat the command with hydra.run.dir={tmp_path / 'run'}: nothing was saved yet")
        assert not list(tmp_path.rglob("*.part"))
    assert "Traceback" not in capfd.readouterr().err
    assert train_here(*RUN) == ""
    assert "holds a run already" in train_here(*RUN)


@pytest.mark.slow
def test_at_a_later_checkpoint_the_run_goes_on_with_the_one_before(train_here, tmp_path, monkeypatch):
    from auscult.modules.classifier import Classifier

    def fill(self: Classifier) -> None:
        if self.current_epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, resource.RLIM_INFINITY))

    with monkeypatch.context() as during, room_for(resource.RLIM_INFINITY):
        during.setattr(Classifier, "on_validation_start", fill)
        said = train_here(*RUN)
    assert_said(said, f"go on with: python train.py ckpt_path={tmp_path}/run/checkpoints/last.ckpt")
    assert not list(tmp_path.rglob("*.part"))
    assert train_here("ckpt_path=run/checkpoints/last.ckpt") == ""
    assert pd.read_csv(tmp_path / "run/metrics.csv")["epoch"].tolist() == [0, 1]


def test_a_job_of_a_multirun_leaves_its_reason_or_nothing(train_here, tmp_path):
    with room_for(5 * 10**6):
        assert "1 of 1 jobs failed" in train_here("-m", *RUN[:-1], "hydra.sweep.dir=sweep")
    assert "make room" in (tmp_path / "sweep/0/error.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [30_000, 250_000])  # relevance.h5 (200 kB), the report (290 kB)
def test_explanations(explain_here, trained, tmp_path, capfd, size):
    options = [f"checkpoint={trained('audionet', 'sex')}", "limit=6", "clips=2", "hydra.run.dir=run"]
    with room_for(size):
        said = explain_here(*options)
    assert_said(said, f"go on by repeating the command with hydra.run.dir={tmp_path / 'run'}")
    assert "Traceback" not in capfd.readouterr().err
    assert explain_here(*options) == ""
    assert (tmp_path / "run/report.html").exists()


@pytest.mark.slow
def test_benchmarks_stop_rather_than_leave_attributions_out(benchmark_here, trained, tmp_path):
    options = [f"checkpoint={trained('audionet', 'sex')}", "attributions=[gradient,amplitude]", "domains=[input]",
               "limit=6", "clips=2", "hydra.run.dir=run"]  # fmt: skip
    with room_for(30_000):
        said = benchmark_here(*options)
    assert_said(said, f"go on by repeating the command with hydra.run.dir={tmp_path / 'run'}")
    assert benchmark_here(*options) == ""
    assert (tmp_path / "run/leaderboard.html").exists()


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(OSError, match="too large"), room_for(10), replacing(path) as unfinished:
        unfinished.write_text("much more than that")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as unfinished:
        unfinished.write_text("after")
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


def test_how_libraries_say_that_a_disk_is_full(tmp_path):
    assert full_disk(OSError(28, "No space left on device", "/a")) == (28, "/a")
    wrapped = RuntimeError("another word for it")
    wrapped.__context__ = OSError(122, "Disk quota exceeded")
    assert full_disk(wrapped) == (122, None)
    assert full_disk(OSError(2, "No such file")) is None and full_disk(ValueError("errno = 2")) is None
    with pytest.raises((OSError, RuntimeError)) as caught, room_for(5000), h5py.File(tmp_path / "a.h5", "w") as file:
        file["numbers"] = np.zeros(10**5)
    assert full_disk(caught.value)
    with pytest.raises(OSError) as caught, room_for(5000):
        RelevanceFile.create(
            tmp_path / "b.h5", {"relevance": np.dtype((np.float32, 10**5))}, {"label": [0]}, {"classes": ["a"]}
        )
    assert full_disk(caught.value) and not Path(tmp_path / "b.h5.new").exists()
