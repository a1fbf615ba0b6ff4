"""What tests share: small corpora on disk, and a way to run the programs as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("AUSCULT_SHARED", ROOT.parent / "shared"))
# One step per epoch on a few clips: enough to go through every part of a run.
TINY = ["data.repetitions=1", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "data.batch_size=8"]

os.environ["WANDB_MODE"] = "offline"
os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests use, as all runs of a user do."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def program(tmp_path: Path, shared_cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python train.py ...` in an empty folder, as a user would, and returns what it said."""

    def run(*arguments: str, script: str = "train.py", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=tmp_path,
            env={**os.environ, "AUSCULT_CACHE": str(shared_cache), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def spoken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Foreign recordings, 22.05 kHz: `say-<digit>-by-<name>-<take>.wav`, tones that tell digits and voices apart."""
    folder = tmp_path_factory.mktemp("spoken")
    rng = np.random.default_rng(0)
    seconds = np.arange(int(0.5 * 22050)) / 22050
    for voice, name in enumerate(["ada", "bela", "cem", "dora", "ege"]):
        for digit in range(3):
            for take in range(2):
                tone = np.sin(2 * np.pi * (300 + 250 * digit + 20 * voice) * seconds) * np.hanning(len(seconds))
                samples = 0.5 * tone + 0.003 * rng.standard_normal(len(seconds))
                soundfile.write(folder / f"say-{digit}-by-{name}-{take}.wav", samples, 22050)
    return folder


SPOKEN_PATTERN = r"say-(?P<digit>\d)-by-(?P<speaker>[^-]+)"
