"""What a folder from somebody else may hold."""

import os

import pytest

from auscult.files import check_links
from auscult.mistake import Mistake


def test_links_within_a_folder_are_followed(tmp_path):
    (tmp_path / "run/wandb/offline-run-1").mkdir(parents=True)
    (tmp_path / "run/wandb/latest-run").symlink_to("offline-run-1")  # as W&B makes them
    check_links(tmp_path / "run")
    check_links(tmp_path / "nowhere")
    (tmp_path / "named").symlink_to(tmp_path / "run")  # the folder itself may be one
    check_links(tmp_path / "named")


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "../beside", "../../x", "/dev/null", "nowhere/../../beside"])
def test_links_out_of_a_folder_are_not(tmp_path, target):
    (tmp_path / "run/deep").mkdir(parents=True)
    (tmp_path / "run/deep/link").symlink_to(target if target.startswith("/") else f"../{target}")
    with pytest.raises(Mistake, match="is a link that leads out of"):
        check_links(tmp_path / "run")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(Mistake, match="is no file but a pipe"):
        check_links(tmp_path)


def test_what_wandb_links_to_itself_is_its_own(tmp_path):
    (tmp_path / "run/wandb/offline-run-1/logs").mkdir(parents=True)
    (tmp_path / "run/wandb/offline-run-1/logs/debug-core.log").symlink_to(tmp_path / "cache/wandb/core-debug.log")
    check_links(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/wandb").symlink_to(tmp_path / "run/wandb")
    with pytest.raises(Mistake, match="is a link that leads out of"):
        check_links(tmp_path / "other")


def test_a_folder_called_wandb_is_none_of_its_own(tmp_path):
    (tmp_path / "wandb/run").mkdir(parents=True)
    (tmp_path / "wandb/run/train.log").symlink_to(tmp_path / "other")
    for folder in (tmp_path / "wandb/run", tmp_path / "wandb"):
        with pytest.raises(Mistake, match="is a link that leads out of"):
            check_links(folder)
