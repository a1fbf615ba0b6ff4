"""Tab completes options and their values, as README says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODELS = ["alexnet", "ast", "audionet", "cnn14", "crnn", "ds_cnn", "hf", "m5", "melcnn", "resnet", "wav2vec2"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (
            "model=",
            " ".join(f"model={name}" for name in MODELS),
        ),
        ("trainer.max_e", "trainer.max_epochs="),
    ],
)
def test_tab_completes_options_and_values(typed, offered):
    script = f"""
        eval "$(python train.py -sc install=bash)"
        COMP_LINE="python train.py {typed}" COMP_CWORD=2
        hydra_bash_completion
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == offered
