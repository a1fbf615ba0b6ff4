"""What was written when the import name was `src`, and most modules lay elsewhere, goes on working."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from auscult.former_names import MOVED, MOVED_SINCE, current_name
from tests.conftest import ROOT

BEFORE = ROOT / "tests/data/before_rooms"  # a run, and somebody's own network, from before


def python(*arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path or ""), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("former", [*(f"src.{name}" for name in MOVED), *(f"auscult.{name}" for name in MOVED_SINCE)])
def test_what_moved_is_there(former):
    module, _, last = current_name(former).rpartition(".")
    try:
        assert find_spec(f"{module}.{last}")
    except ModuleNotFoundError:  # not a module, but something in one
        assert hasattr(import_module(module), last)


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("src.modules.audionet.AudioNet", "auscult.modules.networks.audionet.AudioNet"),
        ("src.explain.lrp.LRP", "auscult.explain.attribution.lrp.LRP"),
        ("src.explain.attribution.Random", "auscult.explain.attribution.controls.Random"),
        ("src.explain.attribution.relevance_of", "auscult.explain.attribution.base.relevance_of"),
        ("src.explain.measures", "auscult.explain.measures.catalogue"),
        ("auscult.explain.measures", "auscult.explain.measures"),
        ("src.folder_lock.lock", "auscult.machine.lock.lock"),
        ("auscult.run.lock.lock", "auscult.machine.lock.lock"),
        ("src.explain.callbacks.RelevancePanel", "auscult.explain.callbacks.RelevancePanel"),
        ("src", "auscult"),
        ("srcs.modules", "srcs.modules"),
        ("torch.nn.Linear", "torch.nn.Linear"),
        ("src..modules", "auscult..modules"),
    ],
)
def test_names_are_those_of_today(former, current):
    assert current_name(former) == current


@pytest.mark.slow
def test_both_names_are_of_one_module():
    """In the order that makes a second copy most easily, and of parts that are compared by identity."""
    code = (
        "import src.explain.lrp as former, src.mistake; from src import build; import src.modules.audionet\n"
        "import auscult.explain.attribution.lrp as current, auscult.mistake, auscult.modules.networks.audionet\n"
        "assert former is current and src.mistake.Mistake is auscult.mistake.Mistake\n"
        "assert src.modules.audionet.AudioNet is auscult.modules.networks.audionet.AudioNet\n"
        "assert former.__spec__.name == 'auscult.explain.attribution.lrp'\n"
        "import importlib.util; assert importlib.util.find_spec('src.explain.nothing') is None\n"
    )
    done = python("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_command_by_its_former_name(tmp_path):
    done = python("-m", "src.summary", str(tmp_path), cwd=ROOT)
    assert "Traceback" not in done.stderr and "No module" not in done.stderr
    assert done.returncode == python("-m", "auscult.sweep.summary", str(tmp_path), cwd=ROOT).returncode


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A copy of the folder."""
    return shutil.copytree(BEFORE, tmp_path / "before")


@pytest.mark.slow
def test_a_checkpoint_explains_as_it_did(before):
    """With the numbers of then; its network is imported by the former name."""
    options = ["checkpoint=run/checkpoints/best.ckpt", "allow=[small_nets]", "limit=8", "clips=1", "domain=frequency"]
    options += ["perturbation.fractions=[0,0.1]", "perturbation.random_orders=1", "intervention=scale_waveform"]
    done = python(
        str(ROOT / "explain.py"), *options, "attribution=lrp_epsilon", "hydra.run.dir=now", cwd=before, path=before
    )
    assert done.returncode == 0, done.stderr
    now, then = (json.loads((before / name).read_text()) for name in ("now/metrics.json", "explained.json"))
    lasting = {name: value for name, value in then.items() if not name.startswith(("cost/", "seconds", "conservation"))}
    assert lasting.keys() <= now.keys() and len(lasting) > 40
    assert {name: now[name] for name in lasting} == pytest.approx(lasting, abs=1e-4)
    assert now["conservation_error/median"] < 1e-4


@pytest.mark.slow
def test_a_run_folder_goes_on(before):
    """With the callbacks and the network that it names by their former names."""
    (before / "run/metrics.json").unlink()  # as of a run that did not come to its end
    done = python(
        str(ROOT / "train.py"),
        "ckpt_path=run",
        "allow=[small_nets]",
        "trainer.limit_test_batches=1",
        cwd=before,
        path=before,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((before / "run/metrics.json").read_text())
    assert metrics["epochs"] == 2
    assert metrics["perturbation/area/relevance"] == metrics["lrp_epsilon_plus/perturbation/area/relevance"]
    curves = pd.read_csv(before / "run/explanation/lrp_epsilon_plus/curves.csv")
    assert curves["fraction"].unique().tolist() == [0, 0.1]  # as its callback was told
