import os
import pickle

import pytest
import torch

from src.checkpoint import is_safe, open_checkpoint, targets
from src.mistake import Mistake


class RunsCode:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def saved(path, content):
    torch.save(content, path)
    return path


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    path = saved(tmp_path / "evil.ckpt", {"auscult": RunsCode(tmp_path / "ran")})
    with pytest.raises(Mistake, match="not safe to open"):
        open_checkpoint(path)
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
    with pytest.raises(Mistake, match="not safe to open"):
        open_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("target", ["os.system", "src.processes.os.kill", "src.checkpoint.torch.load", "src.nothing.X"])
def test_a_configuration_that_names_foreign_code_is_refused(tmp_path, target):
    config = {"model": {"network": {"_target_": target}}}
    path = saved(tmp_path / "foreign.ckpt", {"auscult": {"config": config, "classes": ["a"], "speakers": {}}})
    with pytest.raises(Mistake, match=f"wants to build '{target}'"):
        open_checkpoint(path)


def test_a_configuration_that_would_name_foreign_code_once_resolved_is_refused(tmp_path):
    config = {"model": {"front_end": {"raw_decibels": "${oc.decode:'{_target_: os.getcwd}'}"}}}
    path = saved(tmp_path / "late.ckpt", {"auscult": {"config": config, "classes": ["a"], "speakers": {}}})
    with pytest.raises(Mistake, match="unresolved configuration"):
        open_checkpoint(path)


def test_our_own_classes_are_safe():
    for target in ("src.modules.audionet.AudioNet", "src.datamodules.folder.Folder", "torch.optim.AdamW",
                   "torch.optim.lr_scheduler.OneCycleLR"):  # fmt: skip
        assert is_safe(target)
    assert targets({"a": [{"_target_": "x", "b": {"_target_": "y"}}]}) == ["x", "y"]


def test_what_is_not_a_checkpoint_of_ours(tmp_path):
    with pytest.raises(Mistake, match="is not a file"):
        open_checkpoint(tmp_path / "nowhere.ckpt")
    with pytest.raises(Mistake, match="was not written by"):
        open_checkpoint(saved(tmp_path / "other.ckpt", {"state_dict": {}}))
    whole = saved(tmp_path / "whole.ckpt", {"weights": torch.zeros(1000)}).read_bytes()
    for name, content in {"empty": b"", "text": b"hello", "truncated": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Mistake) as caught:
            open_checkpoint(tmp_path / name, option="checkpoint")
        assert str(caught.value).startswith("checkpoint=") and "\n" not in str(caught.value)
