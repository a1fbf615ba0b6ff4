"""Corpora that `data=folder` reads as their publishers ship them, by the commands in docs/corpora.md."""

import re
import shlex

import numpy as np
import pytest
import soundfile

from auscult.datamodules.division import Division
from auscult.program.arguments import arranged
from auscult.program.config import check
from tests.conftest import ROOT
from tests.program.test_config import composed

COMMANDS = re.findall(r"^python train\.py (.+)$", (ROOT / "docs/corpora.md").read_text(), re.MULTILINE)
NAMES = ("jackson", "theo", "lucas")
LAYOUTS = {
    "free-spoken": [f"{digit}_{who}_{n}.wav" for digit in range(10) for who in NAMES for n in (0, 5)],
    "gtzan": [f"{genre}/{genre}.{n:05}.wav" for genre in ("blues", "jazz") for n in range(5)],
}  # fmt: skip
EXPECTED = {
    "free-spoken": (set("0123456789"), set(NAMES), 60),
    "gtzan": ({"blues", "jazz"}, set(LAYOUTS["gtzan"]), 10),
}


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_the_command_finds_labels_and_speakers(corpus, tmp_path):
    (command,) = (command for command in COMMANDS if corpus in command)
    for name in LAYOUTS[corpus]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".wav"):
            soundfile.write(tmp_path / name, np.zeros(10), 8000)
        else:
            (tmp_path / name).touch()
    words = [word for word in shlex.split(command) if not word.startswith("data.root=")]
    division = Division.from_config(check(composed(*arranged([*words, f"data.root={tmp_path}"], "train"))))
    classes, speakers, count = EXPECTED[corpus]
    assert set(division.classes) == classes
    assert {clip.speaker for clip in division.clips} == speakers
    assert len(division.clips) == count
