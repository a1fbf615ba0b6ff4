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
        ("train", ["trainer.max_epochs=0"], "trainer.max_epochs=0 would leave nothing to test"),
        ("train", ["trainer.accelerator=gpu"], "this machine has no GPU"),
        ("train", ["data=folder", "data.root=nowhere"], "nowhere does not exist"),
        ("train", ["data=folder", "data.root={spoken}", "data.pattern=x(y"], "is not a regular expression"),
        ("train", ["data=folder", "data.root={spoken}", SPOKEN_PATTERN, "task=sex"], "needs clips labelled 'sex'"),
        ("train", ["data=folder", "data.root={spoken}", SPOKEN_PATTERN, "fold=7"], "fold=7 does not exist"),
        ("train", ["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt is not a file"),
        ("explain", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
        ("explain", ["fold=1"], "fold is an option of train.py; here the checkpoint brings it: leave it out."),
        ("explain", ["trainer.max_epochs=1"], "is an option of train.py; here the checkpoint brings it"),
        ("explain", ["logger=wandb"], "python benchmark.py has logger=wandb"),
        ("explain", ["attributions=[random]"], "say attribution=random."),
        ("explain", ["n=3"], "n is not an option; say limit=3."),
        ("benchmark", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
        ("benchmark", ["checkpoint=x", "attributions=[lrp]"], "attributions has lrp, which is unknown"),
        ("benchmark", ["experiment=table1"], "experiment=table1 is one of python train.py, not of benchmark.py"),
        ("serve", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
        ("serve", ["--port", "80"], "--port is not a flag; say port=80"),
    ],
)
def test_it_is_named_without_pytorch(program, words, says, spoken_folder, tmp_path):
    sentence = said(program, *(word.replace("{spoken}", str(spoken_folder)) for word in words), cwd=tmp_path)
    assert says in sentence and sentence.count("\n") == 1
    assert not list(tmp_path.glob("*/*/*/config.yaml"))
