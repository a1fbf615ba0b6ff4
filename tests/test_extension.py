"""A network and a corpus of your own: one file and one YAML each. This is all that it takes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import ROOT

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
  _target_: auscult.modules.frontends.NormalizedWaveform
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


@pytest.mark.slow
def test_a_network_and_a_corpus_take_one_file_and_one_yaml_each(start_training, tmp_path):
    for name in ("train.py", "src", "conf"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "auscult").symlink_to("src")
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
