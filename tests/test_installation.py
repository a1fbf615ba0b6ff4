"""`pip install .`: what the package holds, and that it works from any folder."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

EXPLAINS = """
import json, sys
import auscult
is_light = "torch" not in sys.modules
import torch
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(nn.Conv1d(1, 4, 16, 8), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))
model = auscult.Model(network, classes=["low", "high"], sample_rate=8000)
tone = 0.3 * torch.sin(torch.arange(4000) / 5)
explanation = auscult.explain(model, tone, attribution="lrp_epsilon", domain="time_frequency")
told = {"place": auscult.__file__, "is_light": is_light, "error": explanation.conservation_error}
explanation.plot().savefig("clip.png")
print(json.dumps(told))
"""


def files_of(folder: Path, within: str) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {f"{within}/{path.as_posix()}" for path in files if "__pycache__" not in path.parts}


def test_every_room_is_packed():
    rooms = {path.parent.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("__init__.py")}
    packages = {".".join(("auscult", *room.parts)) for room in rooms}
    assert set(SETUPTOOLS["packages"]) == packages | {"auscult.conf"}


@pytest.mark.slow
def test_it_is_installed_and_explains_from_any_folder(tmp_path):
    checkout, elsewhere, environment = (tmp_path / name for name in ("checkout", "elsewhere", "environment"))
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, checkout], check=True)
    [wheel] = tmp_path.glob("auscult_audio-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if name.startswith("auscult/")}
    assert names == files_of(ROOT / "src", "auscult") | files_of(ROOT / "conf", "auscult/conf")

    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    [own] = environment.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # which take minutes to install
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    elsewhere.mkdir()
    done = subprocess.run([python, "-I", "-c", EXPLAINS], cwd=elsewhere, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    assert Path(told["place"]).parent == own / "auscult" and told["is_light"]
    assert told["error"] < 1e-3 and (elsewhere / "clip.png").stat().st_size > 1000
