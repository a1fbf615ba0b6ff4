"""Mistakes are named at once: before PyTorch is imported, which takes seconds, and long before a recording is read."""

import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT, SPOKEN_PATTERN

WITHOUT_TORCH = """
import sys

class WithoutTorch:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("PyTorch takes seconds to import")

sys.meta_path.insert(0, WithoutTorch)
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
        ("train", ["+data.clip.rate=8000"], "data.clip.rate is not an option"),
        ("train", ["+data.confound.level=1"], "data.confound.level is not an option"),
        ("train", ["+logger.dir=logs"], "logger.dir is not an option"),
        ("train", ["data.clip.min_seconds=50"], "data.clip.min_seconds=50 must lie between 0 and data.clip.seconds=1"),
        ("train", ["data.clip.highpass_hz=5000"], "data.clip.highpass_hz=5000 must lie between 0 and half"),
        ("train", ["model.network._target_=mine.Net"], "if the package is yours, say allow=mine."),
        ("train", ["optimizer._target_=SGD"], "is a name only; say its module, too: torch.optim.SGD."),
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


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        ("explain", ["target=woman"], "target=woman is unknown; choose predicted, true, or one of 0, 1, 2"),
        ("explain", ["attribution=integrated_gradients", "attribution.steps=0"], "attribution.steps=0 is not a whole"),
        ("explain", ["attribution=rise", "attribution.cells=[5,0]"], "attribution.cells=0 is not a whole number of 1"),
        ("explain", ["attribution=freqrise", "attribution.keep=50"], "attribution.keep=50 is not a number from 0 to 1"),
        ("explain", ["intervention=keep_band", "intervention.low_hz=4e3"], "4000.0 is not below intervention.high_hz"),
        ("explain", ["intervention=scale_waveform", "intervention.factors.male=0"], "factors.male=0 is not a number"),
        ("explain", ["checkpoint={cut}"], "cut.ckpt cannot be read (truncated, damaged or not a checkpoint)"),
        ("explain", ["checkpoint={other}"], "other.ckpt was not written by train.py"),
        ("explain", ["control={other}"], "control={other} was not written by train.py"),
        ("benchmark", ["target=Predicted"], "target=Predicted is unknown; choose predicted, true"),
        ("serve", ["checkpoint={cut}"], "cut.ckpt cannot be read"),
        ("serve", ["page=study", "study.name=a", "checkpoint_2={other}"], "checkpoint_2={other} was not written by"),
        ("train", ["ckpt_path={copy}", "model=alexnet"], "was trained with model=melcnn, not alexnet"),
        ("train", ["ckpt_path={cut}"], "cut.ckpt cannot be read"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_named_without_pytorch(program, words, says, trained, tmp_path):
    checkpoint = trained("melcnn", "digit")
    places = {name: tmp_path / f"{name}.ckpt" for name in ("copy", "cut", "other")}
    places["copy"].write_bytes(checkpoint.read_bytes())
    places["cut"].write_bytes(checkpoint.read_bytes()[:-100])
    torch.save({"state_dict": {"a": torch.zeros(2)}}, places["other"])
    if program != "train" and not any(word.startswith("checkpoint=") for word in words):
        words = [f"checkpoint={checkpoint}", *words]
    sentence = said(program, *(word.format(**places) for word in words), cwd=tmp_path)
    assert says.format(**places) in sentence and sentence.count("\n") == 1
