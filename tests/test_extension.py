"""A network and a corpus of your own: one file and one YAML each; a measure: one file, named in the catalogue."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from tests.conftest import ROOT
from tests.explain.report.test_html import Page

NEW = {
    "src/modules/toy.py": '''
from torch import Tensor, nn


class Toy(nn.Module):
    """Loudness after each of a few filters; `classes` is filled in from the task."""

    def __init__(self, classes: int, filters: int) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, filters, kernel_size=64, stride=16)
        self.dense = nn.Linear(filters, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.dense(self.filters(waveform).abs().mean(-1))
''',
    "conf/model/toy.yaml": """
name: toy
network:
  _target_: auscult.modules.toy.Toy
  filters: 16
front_end:
  _target_: auscult.modules.audiomnist_front_ends.NormalizedWaveform
""",
    "src/datamodules/tones.py": '''
from pathlib import Path

from auscult.datamodules.clips import Clip, Corpus


class Tones(Corpus):
    """Recordings `<instrument>-<player>.wav`."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def clips(self) -> list[Clip]:
        names = [path.stem.split("-") for path in sorted(self.root.glob("*.wav"))]
        return [Clip(f"{what}-{who}.wav", speaker=who, labels={"instrument": what}) for what, who in names]
''',
    "conf/data/tones.yaml": """
name: tones
_target_: auscult.datamodules.tones.Tones
root: recordings
""",
}

MEASURE = '''
from torch import Tensor

from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Topic

BALANCE = Topic("balance", "does relevance speak for the class or against it?", 9)


class Balance(Measurement):
    """Share of the relevance that is positive."""

    measures = (Measure(BALANCE, "positive", "the share of features that speak for it", Better.HIGHER),)
    summary = ("balance/positive",)

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        return {"balance/positive": (clips.explained.relevance > 0).flatten(1).float().mean(1)}
'''


def copy_program(folder: Path, *scripts: str) -> None:
    for name in (*scripts, "src", "conf"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "auscult").symlink_to("src")


@pytest.mark.slow
def test_a_measure_takes_one_file_and_its_name_in_the_catalogue(start_training, tmp_path):
    """It is then in the relevance file, metrics.json, the report and the leaderboard; a summary has a column for it."""
    copy_program(tmp_path, "benchmark.py")
    shutil.copytree(ROOT / "tests/data/before_rooms", tmp_path, dirs_exist_ok=True)
    (tmp_path / "src/explain/measures/balance.py").write_text(MEASURE)
    catalogue = tmp_path / "src/explain/measures/catalogue.py"
    known = catalogue.read_text()
    first, last = "\nfrom auscult.explain.measures.control", "    Control,\n"
    assert known.count(first) == known.count(last) == 1
    known = known.replace(first, "\nfrom auscult.explain.measures.balance import Balance" + first)
    catalogue.write_text(known.replace(last, f"{last}    Balance,\n"))
    options = ["checkpoint=run/checkpoints/best.ckpt", "allow=[small_nets]", "attributions=[amplitude,random]",
               "limit=4", "clips=0", "checks=0", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=0",
               "perturbation.energies=null", "hydra.run.dir=board"]  # fmt: skip
    said, _ = (run := start_training(*options, script=tmp_path / "benchmark.py")).communicate(timeout=300)
    assert run.returncode == 0, said
    own = tmp_path / "board/input/random"
    with h5py.File(own / "relevance.h5") as file:
        share = (file["relevance"][:] > 0).mean((1, 2))
        np.testing.assert_allclose(file["balance/positive"][:], share, rtol=1e-5)
    assert json.loads((own / "metrics.json").read_text())["balance/positive"] == pytest.approx(share.mean(), rel=1e-5)
    page = Page(own / "report.html")
    assert "Balance: does relevance speak for the class or against it?" in page.texts["h3"]
    assert "the share of features that speak for it balance/positive" in page.texts["small"]
    assert "higher is better, 1 at best" in page.texts["small"] and "Positive" in page.source
    table = pd.read_csv(tmp_path / "board/leaderboard.csv", keep_default_na=False)
    ranks = table[table["measure"] == "balance/positive"].set_index("attribution")["rank"]
    assert ranks["amplitude"] in ("best", "tied") and len(ranks) == 2
    page = (tmp_path / "board/leaderboard.html").read_text()
    says = "Positive: the share of features that speak for it; higher is better, 1 at best."
    assert says in page and ">Positive</button>" in page
    asked = "from auscult.sweep import summary; print(summary.metrics_shown([{'error': ''}]))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "'balance/positive'" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_network_and_a_corpus_take_one_file_and_one_yaml_each(start_training, tmp_path):
    copy_program(tmp_path, "train.py")
    for name, text in NEW.items():
        (tmp_path / name).write_text(text)
    record(tmp_path / "recordings")

    def train(*arguments: str) -> dict[str, float]:
        said, _ = (run := start_training(*arguments, script=tmp_path / "train.py")).communicate(timeout=300)
        assert run.returncode == 0, said
        return json.loads((tmp_path / "run/metrics.json").read_text())

    metrics = train("model=toy", "data=tones", "task=label", "task.label=instrument", "optimizer.lr=0.03",
                    "data.batch_size=4", "trainer.max_epochs=10", "hydra.run.dir=run", "keep_last=true")  # fmt: skip
    assert metrics["test/accuracy"] == 1 and metrics["clips/test"] == 6 and metrics["epochs"] == 10
    card = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["auscult"]
    assert card["classes"] == ["flute", "horn"]
    again = train("ckpt_path=run/checkpoints/last.ckpt")
    assert again | {"seconds": 0} == metrics | {"seconds": 0}


def record(folder: Path) -> None:
    """Flutes play high and horns low notes, each by fifteen players."""
    folder.mkdir()
    seconds = np.arange(4000) / 8000
    for player in range(15):
        for instrument, hertz in (("flute", 1200), ("horn", 200)):
            note = 0.5 * np.sin(2 * np.pi * (hertz + 10 * player) * seconds)
            soundfile.write(folder / f"{instrument}-{player}.wav", note, 8000)
