"""Opening the cache of a corpus as large as AudioMNIST.

    python -m speed.opening
    python -m speed.opening --clips 3000 --rounds 2

Makes files in AudioMNIST's layout, a cache of clips of 0.64 s (AudioMNIST's mean), and opens it in fresh processes, as
every run does: the folders are listed, every recording is checked for changes, the index is read and the
samples are mapped. Memory is the process's peak above what it had before, with all modules imported (Linux only).
"""

import argparse
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from auscult.datamodules.audiomnist import AudioMNIST
from auscult.datamodules.cache import open_cache
from auscult.datamodules.clips import Clip
from auscult.datamodules.recording import ClipSettings

SETTINGS = ClipSettings(highpass_hz=None, trim_db=None)


class Recorded(AudioMNIST):
    """AudioMNIST's layout, with the same noise in every recording: their content does not matter here."""

    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (5120, 1)).astype(np.float32)

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        return self.noise, SETTINGS.sample_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5, help="processes that open it, one after the other")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable()
    if options.open:
        print(json.dumps(open_once(options.open)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder / "data", options.clips)
        corpus = Recorded(folder)
        open_cache(corpus, corpus.clips(), SETTINGS, folder / "cache")
        command = [sys.executable, "-m", "speed.opening", "--open", str(folder)]
        rounds = [json.loads(subprocess.check_output(command)) for _ in range(options.rounds)]
    table = Table("", "median", "least to most", title=f"opening a cache of {options.clips} clips", box=None)
    for name in rounds[0]:
        values = [values[name] for values in rounds]
        table.add_row(name, f"{median(values):.3g}", f"{min(values):.3g} to {max(values):.3g}")
    Console(width=100).print(table)


def make_files(data: Path, count: int) -> None:
    for number in range(count):
        folder = data / f"{number // 500 + 1:02}"
        if number % 500 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number % 10}_{folder.name}_{number % 500 // 10}.wav").touch()


def open_once(folder: Path) -> dict[str, float]:
    before = memory("VmRSS")
    started = time.perf_counter()
    corpus = Recorded(folder)
    clips = corpus.clips()
    listed = time.perf_counter()
    cache = open_cache(corpus, clips, SETTINGS, folder / "cache")
    opened = time.perf_counter()
    assert len(cache) == len(clips)
    return {
        "listing the clips, seconds": listed - started,
        "opening the cache, seconds": opened - listed,
        "peak memory above baseline, MB": memory("VmHWM") - before,
    }


def memory(name: str) -> float:
    """Megabytes now (VmRSS) or at most so far (VmHWM) in memory."""
    status = Path("/proc/self/status").read_text()
    match = re.search(rf"{name}:\s*(\d+) kB", status)
    return int(match[1]) / 1024 if match else float("nan")


if __name__ == "__main__":
    main()
