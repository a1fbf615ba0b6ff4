"""Mistakes of a second new user, each by the sentence that says the way out."""

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir

from auscult.datamodules.datamodule import AudioDataModule
from auscult.mistake import Mistake
from auscult.modules.networks.melcnn import MelCNN
from auscult.program import config
from auscult.program.conf import CONF
from auscult.run.results import warn_of_divergence
from auscult.serve import options as serve_options
from tests.conftest import ROOT

Said = Callable[..., str]


@pytest.mark.parametrize(
    ("program", "options", "way_out"),
    [
        ("benchmark", ["checkpoint=x", "attributions=[random,random]"], "attributions names random twice;"),
        ("benchmark", ["checkpoint=x", "domains=[input,input]"], "domains names input twice"),
        ("train", ["optimizer.name=sgd"], "optimizer.name is only a label and chooses nothing; say optimizer=sgd."),
        ("train", ["model.name=alexnet"], "say model=alexnet."),
        ("train", ["task.name=sex"], "say task=sex."),
        ("serve", ["checkpoint=x", "record.root=there"], "add page=record, or leave record.root out."),
        ("serve", ["study.clips=3"], "is an option of page=study; add page=study, or leave study.clips out."),
        ("serve", ["record=there"], "record is a group of options; say record.NAME=…, such as record.root=…."),
        ("serve", ["page=record", "record.root=there", "checkpoint=x"], "page=record uses no network;"),
        ("serve", ["page=record,live"], "page=record,live has several values; choose one, as serve.py runs with one."),
        ("serve", ["checkpoint=x", "domain=time"], "say domains=[time]"),
        ("serve", ["page=record", "record.root=r", "host=no.such.host.invalid"], "is no name that this machine knows"),
        ("study", ["effect=0,5"], "effect=0,5 has a comma; say effect=0.5"),
        ("train", ["{task:sex}"], "say task=sex;"),
        ("train", ["data.clip={seconds:2", "sample_rate:8000}"], "say data.clip.seconds=2 data.clip.sample_rate=8000."),
        ("train", ["data.clip=8000"], "data.clip is a group of options; say data.clip.NAME=…"),
        ("explain", ["checkpoint=x", "trainer=cpu"], "say trainer.accelerator=cpu."),
        ("explain", ["checkpoint=x", "perturbation=0.1"], "perturbation is a group of options; say"),
        ("explain", ["checkpoint=x", "fill=0"], "choose one of mean, noise, silence, zero."),
        ("explain", ["checkpoint="], "checkpoint has no value"),
        ("train", ["optimizer=0.001"], "say optimizer.NAME=0.001 for one of its options"),
        ("train", ["task=null"], "task=null is no choice of task; choose one of age, digit, label, number, sex, sound"),
        ("train", ["fold=range(0,4)"], "fold=range(0,4) has several values; add -m to run with each of them."),
        ("train", ["--multi-run", "fold=0,1"], "--multi-run is not a flag; say --multirun;"),
        ("train", ["–m", "fold=0,1"], "–m begins with a dash that is no hyphen; say -m."),
        ("train", ["-m", "fold=0", "1"], "fold=0 1 has a space in it; say -m fold=0,1 to run with each value."),
        ("train", ["optimizer._target_=SGD"], "is a name only; say its module, too: torch.optim.SGD."),
        (
            "train",
            ["callbacks=intervention", "intervention=scale_waveform", "intervention.factors.man=1.5"],
            "say intervention.factors.male=…, or +intervention.factors.man=… if man is one of the classes.",
        ),
        ("benchmark", ["-m", "checkpoint=x", "attribution=random,amplitude"], "say attributions=[random,amplitude]"),
        ("serve", ["study.name=pilot", "checkpoint=x"], "add page=study, or leave study.name out."),
        ("train", ["hydra.sweep.dir=here"], "is the folder of a multirun; say hydra.run.dir=here, or add -m."),
        ("train", ["-m", "fold=0,1", "hydra.run.dir=here"], "say hydra.sweep.dir=here, or leave -m out."),
        ("benchmark", ["-m", "checkpoint=README.md,nowhere"], "README.md is no checkpoint; name a run folder"),
        ("explain", ["-m", "checkpoint=nowhere,'no where'", "target=true"], "checkpoint=nowhere is not a file"),
        ("benchmark", ["checkpoint=[a,b]"], "name one, or several after -m, with commas and without brackets."),
        ("train", ["ckpt_path=README.md"], "README.md is no checkpoint; name a run folder or its last.ckpt."),
    ],
)  # fmt: skip
def test_the_way_out_is_said(said: Said, program: str, options: list[str], way_out: str) -> None:
    assert way_out in said(program, *options)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that could go on."""
    checkpoints = tmp_path / "run/checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("last", "best"):
        (checkpoints / f"{name}.ckpt").write_bytes(b"PK\x03\x04")
    return tmp_path / "run"


def test_a_run_goes_on_in_its_own_folder(said: Said, run: Path) -> None:
    last = f"ckpt_path={run}/checkpoints/last.ckpt"
    assert f"another folder than {run}, in which that run goes on; leave it out" in said(
        "train", last, "hydra.run.dir=x"
    )
    assert "goes on with one run, and fold has several values; leave -m out" in said("train", "-m", last, "fold=0,1")
    assert "last.ckpt beside it is" in said("train", f"ckpt_path={run}/checkpoints/epoch3.ckpt")


@pytest.mark.parametrize(
    ("table", "way_out"),
    [
        ("path,digit,speaker\n{rows}", "fill the column digit of data.csv, or another corpus (data)."),
        ("path,digit,digit\n{rows}", "keep one of data.csv's columns digit"),
        ("path,speaker,speaker\n{rows}", "has several columns speaker: keep one of them"),
    ],
)
def test_tables_with_columns_that_say_nothing(train_here: Said, tmp_path: Path, table: str, way_out: str) -> None:
    names = [f"{number}.wav" for number in range(6)]
    for name in names:
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 4000), 8000)
    rows = "\n".join(f"{name},,s{number}" for number, name in enumerate(names))
    (tmp_path / "table.csv").write_text(table.format(rows=rows))
    options = ["data=folder", f"data.root={tmp_path}", "data.csv=table.csv", "task=digit"]
    assert way_out in train_here(*options)
    assert "cannot be read: it is a recording" in train_here(*options[:2], "data.csv=0.wav", "task=digit")


def noise(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(len(str(path))).normal(0, 0.1, 4000), 8000)


def test_parts_of_a_corpus_are_no_classes(train_here: Said, tmp_path: Path) -> None:
    for part in ("train", "test"):
        for number in range(3):
            noise(tmp_path / part / f"{number}.wav")
    assert "test and train, which are parts of a corpus and no classes" in train_here(
        "data=folder", f"data.root={tmp_path}", "task=label"
    )


def test_a_class_that_no_clip_has_is_said(tmp_path: Path, cache_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("cat", "dog"):
        for number in range(6):
            noise(tmp_path / name / f"{number}.wav")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = ["data=folder", f"data.root={tmp_path}", "task=label", "task.classes=[cat,dog,dgo]"]
        checked = config.check(compose("train", overrides=[*options, f"data.cache_dir={cache_dir}"]))
    AudioDataModule.from_config(checked).setup()
    assert caplog.text.count("no clip is labelled dgo (task.classes)") == 1


def test_too_short_recordings_are_blamed_on_the_option(train_here: Said, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(6):
            noise(tmp_path / name / f"{number}.wav")
    assert "lower data.clip.min_seconds" in train_here(
        "data=folder", f"data.root={tmp_path}", "task=label", "data.clip.min_seconds=0.9"
    )


def test_spectrograms_of_another_size_are_blamed_on_the_front_end() -> None:
    with pytest.raises(Mistake, match=r"leave bands, rows, size and columns of model\.front_end at 64"):
        MelCNN(2)(torch.zeros(1, 1, 128, 64))
    with pytest.raises(Mistake, match=r"choose model\.network\.channels=3, or another model/front_end"):
        MelCNN(2)(torch.zeros(1, 3, 64, 64))


def test_a_loss_beyond_all_measure_is_said(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_divergence(20.0, 2)
    assert not caplog.text
    warn_of_divergence(math.nan, 2)
    warn_of_divergence(700.0, 10)
    assert caplog.text.count("the training has diverged; lower optimizer.lr") == 2


def test_one_condition_compares_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = ["page=study", "study.name=one", "study.conditions=[none]", "checkpoint=nowhere", "port=0"]
        with pytest.raises(Mistake, match="checkpoint=nowhere"):
            serve_options.check(compose("serve", overrides=options))
    assert "is one condition: nothing is compared" in caplog.text


def test_a_yaml_with_a_tab_is_named(tmp_path: Path) -> None:
    for name in ("train.py", "auscult", "src", "conf"):
        if name == "conf":
            shutil.copytree(ROOT / name, tmp_path / name)
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path)
        else:
            (tmp_path / name).symlink_to(ROOT / "src")
    (tmp_path / "conf/experiment/tabs.yaml").write_text("# @package _global_\n\tfold: 1\n")
    ended = subprocess.run(
        [sys.executable, "train.py", "experiment=tabs"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1 and "tabs.yaml, line 2" in ended.stderr, ended.stderr
