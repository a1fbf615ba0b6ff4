import os

import pytest

from auscult.mistake import Mistake
from auscult.program.paths import checkpoint_at, checkpoint_to_go_on_with, other_checkpoint, run_folder_of

START = b"PK\x03\x04"  # of a checkpoint's file


@pytest.fixture
def run(tmp_path):
    """A run folder with both checkpoints."""
    (tmp_path / "2026/run/checkpoints").mkdir(parents=True)
    for name in ("best", "last"):
        (tmp_path / f"2026/run/checkpoints/{name}.ckpt").write_bytes(START + name.encode())
    return tmp_path / "2026/run"


def test_a_run_folder_stands_for_its_checkpoint(run, monkeypatch):
    best, last = (str(run / f"checkpoints/{name}.ckpt") for name in ("best", "last"))
    for path in (best, run, run / "checkpoints"):
        assert checkpoint_at("checkpoint", path) == best
    for path in (last, run, run / "checkpoints"):
        assert checkpoint_to_go_on_with(str(path)) == last
        assert run_folder_of(str(path), "new") == str(run)
    monkeypatch.chdir(run)
    assert checkpoint_at("checkpoint", ".") == best


def test_a_folder_of_runs_names_the_newest(run, tmp_path):
    (tmp_path / "2026/later/checkpoints").mkdir(parents=True)
    later = tmp_path / "2026/later/checkpoints/best.ckpt"
    later.touch()
    os.utime(run / "checkpoints/best.ckpt", (1, 1))
    with pytest.raises(Mistake, match=f"is no run folder, but holds some; the newest checkpoint is {later}."):
        checkpoint_at("checkpoint", tmp_path)


def test_what_is_not_there(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match="empty is a folder without checkpoints/best"):
        checkpoint_at("checkpoint", tmp_path / "empty")
    with pytest.raises(Mistake, match="is not a file"):
        checkpoint_at("checkpoint", tmp_path / "nothing.ckpt")
    for content, says in (
        (b"", "is empty; copy it again"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ):
        (tmp_path / "it.ckpt").write_bytes(content)
        with pytest.raises(Mistake, match=says):
            checkpoint_at("checkpoint", tmp_path / "it.ckpt")
    (run / "checkpoints/last.ckpt").unlink()
    with pytest.raises(Mistake, match=r"is not there, but best\.ckpt beside it is; say checkpoint="):
        checkpoint_at("checkpoint", run / "checkpoints/last.ckpt")
    with pytest.raises(Mistake, match="File name too long"):
        checkpoint_at("checkpoint", "x" * 300)


def test_a_complete_run_is_said_to_be_complete(run):
    (run / "metrics.json").touch()
    (run / "checkpoints/last.ckpt").unlink()
    for path in (run, run / "checkpoints/last.ckpt"):
        with pytest.raises(Mistake, match="is complete; to train for longer"):
            checkpoint_to_go_on_with(str(path))


def test_large_checkpoints_are_not_read_to_be_compared(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(START)
        os.truncate(tmp_path / name, 2**40)  # all holes
    assert other_checkpoint("control", tmp_path / "b", str(tmp_path / "a")) == str(tmp_path / "b")


def test_a_second_checkpoint_is_another(run, tmp_path):
    best = str(run / "checkpoints/best.ckpt")
    (tmp_path / "copy.ckpt").write_bytes(START + b"best")
    for path in (best, run, tmp_path / "copy.ckpt"):
        with pytest.raises(Mistake, match="is the same as checkpoint; name that of another training"):
            other_checkpoint("control", path, best)
    assert other_checkpoint("control", run / "checkpoints/last.ckpt", best) == str(run / "checkpoints/last.ckpt")
