"""What tests share: small corpora on disk, and two ways to run the programs as a user does.

The process that hands out the tests reads this file before the others begin: what takes long to import is imported
where it is used.
"""

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra

from tests.quick_hydra import make_quick

if TYPE_CHECKING:
    from auscult.study.materials import Materials

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("AUSCULT_SHARED", ROOT.parent / "shared"))
SPOKEN_PATTERN = r'data.pattern="say-(?P<digit>\d)-by-(?P<speaker>[^-]+)"'
# A few clips are enough to go through every part of a run.
TINY = [
    "data.repetitions=1", "data.batch_size=8", "trainer.max_epochs=1",
    "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=2",
]  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir("numba"))


@pytest.fixture(scope="module", autouse=True)
def compiled_librosa(request: pytest.FixtureRequest) -> None:
    """What Numba compiles for librosa is compiled by one process, as the others wait: where several do it at once, they
    mix their files, and whoever opens them ends with a segmentation fault (numba/numba#10128)."""
    if "librosa" in vars(request.module):
        import librosa

        with FileLock(f"{os.environ['NUMBA_CACHE_DIR']}.lock"):
            librosa.feature.rms(y=np.ones(2048))
            librosa.lpc(np.random.default_rng(0).normal(size=512), order=2)
            librosa.cqt(np.ones(22050))


@pytest.fixture(scope="session", autouse=True)
def quick_hydra() -> Iterator[None]:
    """Programs that run within this process spend less time in Hydra, which takes most of that of a mistake."""
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch.setattr)
        yield


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of all processes use."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def cache_dir(shared_dir: Path) -> Path:
    """A cache folder that all tests use, as all runs of a user do."""
    return shared_dir / "cache"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> None:
    monkeypatch.setenv("AUSCULT_CACHE", str(cache_dir))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def run_program(name: str, *arguments: str) -> str:
    """What `python train.py ...` or `python explain.py ...`, run within this process, says when it fails."""
    program = import_module(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        patch.setattr(sys, "stderr", sys.stderr)  # which the program replaces
        try:
            program.cli()
        except SystemExit as stop:
            return str(stop.code or "")
        finally:
            GlobalHydra.instance().clear()
            for handler in [each for each in logging.root.handlers if isinstance(each, logging.FileHandler)]:
                logging.root.removeHandler(handler)  # Hydra's, into a folder that goes with the test
                handler.close()
    return ""


@pytest.fixture
def train_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`python train.py ...` in an empty folder, within this process; returns what it says when it fails."""
    monkeypatch.chdir(tmp_path)
    return partial(run_program, "train")


@pytest.fixture
def explain_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`python explain.py ...`, likewise."""
    monkeypatch.chdir(tmp_path)
    return partial(run_program, "explain")


@pytest.fixture
def benchmark_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`python benchmark.py ...`, likewise."""
    monkeypatch.chdir(tmp_path)
    return partial(run_program, "benchmark")


@pytest.fixture
def serve_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`python serve.py ...`, likewise; for what it refuses, as it would serve for ever."""
    monkeypatch.chdir(tmp_path)
    return partial(run_program, "serve")


@pytest.fixture(scope="session")
def trained(shared_dir: Path, cache_dir: Path) -> Callable[[str, str], Path]:
    """The `best.ckpt` of a network and a task, hardly trained on synthetic clips; trained once for all tests."""

    @cache
    def checkpoint(model: str, task: str) -> Path:
        folder = shared_dir / f"{model}-{task}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "metrics.json").exists():
                shutil.rmtree(folder, ignore_errors=True)  # what another test could not finish
                options = [f"data.cache_dir={cache_dir}", f"hydra.run.dir={folder}", *TINY]
                assert not run_program("train", f"model={model}", f"task={task}", *options)
        return folder / "checkpoints/best.ckpt"

    return checkpoint


@pytest.fixture
def start_training(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`python train.py ...` in an empty folder, as a process of its own."""

    def start(*arguments: str, script: Path = ROOT / "train.py") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )

    return start


@pytest.fixture(scope="session")
def spoken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Foreign recordings, 22.05 kHz: `say-<digit>-by-<name>-<take>.wav`, tones that tell digits and voices apart."""
    folder = tmp_path_factory.mktemp("spoken")
    random = np.random.default_rng(0)
    seconds = np.arange(int(0.5 * 22050)) / 22050
    for voice, name in enumerate(["ada", "bela", "cem", "dora", "ege"]):
        for digit in range(3):
            for take in range(2):
                tone = np.sin(2 * np.pi * (300 + 250 * digit + 20 * voice) * seconds) * np.hanning(len(seconds))
                samples = 0.5 * tone + 0.003 * random.standard_normal(len(seconds))
                soundfile.write(folder / f"say-{digit}-by-{name}-{take}.wav", samples, 22050)
    return folder


@pytest.fixture(scope="session")
def sexes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a small corpus of two sexes: eight speakers who say three words each, of whom two are tested."""
    folder = tmp_path_factory.mktemp("sexes")
    random = np.random.default_rng(0)
    seconds = np.arange(4000) / 8000
    for voice in range(8):
        for word in range(3):
            hertz = 100 + 90 * (voice % 2) + 3 * voice
            samples = 0.3 * np.sign(np.sin(2 * np.pi * hertz * seconds)) * np.hanning(len(seconds))
            name = f"{('male', 'female')[voice % 2]}-{voice}-{word}.wav"
            soundfile.write(folder / name, samples + 0.003 * random.standard_normal(len(seconds)), 8000)
    tiny = [option for option in TINY if "repetitions" not in option and "limit_test" not in option]
    return [
        "data=folder",
        f"data.root={folder}",
        r'data.pattern="(?P<sex>male|female)-(?P<speaker>\d)"',
        "task=sex",
        *tiny,
    ]


@pytest.fixture(scope="session")
def materials(trained: Callable[..., Path], cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> "Materials":
    """Of a small study, for all tests."""
    from tests.study.pilot import make

    return make(tmp_path_factory.mktemp("studies") / "pilot", [trained("audionet", "sex")], cache_dir)


@contextmanager
def full_disk() -> Iterator[None]:
    """Files of this process cannot grow meanwhile: what they are asked to take is refused, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a notebook has of IPython, as far as it is asked for: its HTML is the text."""
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.version_info, display.HTML = (9, 0), str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
