"""Mistakes are named at once: before PyTorch is imported, which takes seconds, and long before a recording is read."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT, SPOKEN_PATTERN

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # what imports it fails
sys.path.insert(0, {root!r})
sys.argv = [{program!r}, *sys.argv[1:]]
import {program}
{program}.cli()
"""


def said(program: str, *words: str, cwd) -> str:
    code = WITHOUT_TORCH.format(root=str(ROOT), program=program)
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=cwd)
    assert ended.returncode == 1 and ended.stdout == ""
    return ended.stderr


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        ("train", ["fold=9"], "fold=9 does not exist: there are folds 0 to 4"),
        ("train", ["task.label=emotion"], "task=digit needs clips labelled 'emotion'"),
        ("train", ["data=folder", "data.root={spoken}", "data.pattern=x(y"], "is not a regular expression"),
        ("train", ["data=folder", "data.root={spoken}", SPOKEN_PATTERN, "fold=7"], "fold=7 does not exist"),
        ("train", ["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt is not a file"),
        ("explain", ["fold=1"], "fold is an option of train.py; here the checkpoint brings it: leave it out."),
        ("benchmark", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
        ("benchmark", ["experiment=table1"], "experiment=table1 is one of python train.py, not of benchmark.py"),
        ("serve", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
    ],
)
def test_it_is_named_without_pytorch(program, words, says, spoken_folder, tmp_path):
    sentence = said(program, *(word.replace("{spoken}", str(spoken_folder)) for word in words), cwd=tmp_path)
    assert says in sentence and sentence.count("\n") == 1
    assert not list(tmp_path.glob("*/*/*/config.yaml"))
