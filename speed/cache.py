"""Building the cache against the original's way: librosa's resampling and one HDF5 file per clip.

    python -m speed.cache
    python -m speed.cache --az ../shared/data/audiomnist_az --clips 1000 --rounds 5
    python -m speed.cache --az ../shared/data/audiomnist_az --esc10 ../shared/data/esc10 --clips 400

Two corpora of speech: spoken digits as 48 kHz, 16-bit mono WAV files in AudioMNIST's layout, made here, and a copy of
AudioMNIST_AZ (16 kHz, FLAC) if `--az` names one. Both sides get the same files, warm, in turns. "Per core" is clips
over seconds of CPU time of the whole process, so that neither threads nor other programs change it.

With `--esc10`, a copy of ESC-10 (44.1 kHz, OGG), a second table has seconds of audio over seconds of CPU time for each
corpus, on our side alone, and how much of that time is spent on reading the files. Corpora take turns.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import h5py
import librosa
import numpy as np
import soundfile
import soxr
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from auscult.datamodules.cache import open_cache
from auscult.datamodules.clips import Clip
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.recording import read_whole
from auscult.datamodules.synthetic import Synthetic
from auscult.machine import memory
from auscult.program import config
from auscult.program.conf import CONF

RESAMPLERS = {  # librosa's names
    "soxr_hq": "its default today",
    "scipy": "as published",
    "kaiser_best": "its default then",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--az", type=Path, help="a copy of AudioMNIST_AZ")
    parser.add_argument("--esc10", type=Path, help="a copy of ESC-10, in ESC-50's layout")
    parser.add_argument("--clips", type=int, default=1000, help="recordings of each corpus")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both sides")
    options = parser.parse_args()
    logging.disable()
    table = Table("corpus", "librosa's res_type", "ours", "original's", "ratio (least to most)", box=None)
    table.title = "clips/s per core"
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "AudioMNIST"
        write_recordings(made, options.clips)
        for name, root in (("audiomnist", made), ("audiomnist_az", options.az)):
            if root is None:
                continue
            for resampler in RESAMPLERS:
                if resampler == "kaiser_best" and find_spec("resampy") is None:
                    continue  # not worth a dependency
                ours, originals = compare(name, root, resampler, options.clips, options.rounds)
                ratios = [a / b for a, b in zip(ours, originals, strict=True)]
                spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                label = f"{resampler} ({RESAMPLERS[resampler]})"
                table.add_row(name, label, f"{median(ours):.0f}", f"{median(originals):.0f}", spread)
        Console(width=120).print(table)
        if options.esc10:
            roots = {"audiomnist": made, "audiomnist_az": options.az, "esc50": options.esc10}
            named = {name: root for name, root in roots.items() if root is not None}
            Console(width=120).print(audio_table(named, options.clips, options.rounds))


def audio_table(roots: dict[str, Path], count: int, rounds: int) -> Table:
    """Seconds of audio per second of CPU time, of each corpus."""
    memory.keep_freed()  # as train.py does
    opened = {name: clips_of(name, root, count) for name, root in roots.items()}
    seconds = {
        name: sum(soundfile.info(module.corpus.root / clip.path).duration for clip in clips)
        for name, (module, clips) in opened.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in roots}
    reading: dict[str, list[float]] = {name: [] for name in roots}
    for turn in range(rounds + 1):
        for name, (module, clips) in opened.items():
            whole = cpu_seconds(partial(build_cache, module, clips))
            read = cpu_seconds(partial(read_all, module, clips))
            if turn > 0:
                rates[name].append(seconds[name] / whole)
                reading[name].append(read / whole)
    table = Table("corpus", "audio s/s per core (least to most)", "share of reading", box=None)
    for name, own in rates.items():
        table.add_row(name, f"{median(own):.0f} ({min(own):.0f} to {max(own):.0f})", f"{median(reading[name]):.2f}")
    return table


def write_recordings(root: Path, count: int) -> None:
    """`count` synthetic spoken digits as `<root>/data/<speaker>/<digit>_<speaker>_<take>.wav`."""
    corpus = Synthetic(repetitions=-(-count // 600), seed=0, sex_cue="both")
    for clip in corpus.clips()[:count]:
        samples, rate = corpus.read(clip)
        path = root / "data" / clip.path
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, soxr.resample(samples, rate, 48000), 48000, subtype="PCM_16")


def compare(name: str, root: Path, resampler: str, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Clips per second of CPU time of each round: ours, the original's."""
    datamodule, clips = clips_of(name, root, count)
    ours: Callable[[Path], object] = partial(build_cache, datamodule, clips)

    def originals(folder: Path) -> None:
        random = np.random.default_rng(0)
        for clip in clips:
            as_published(root, clip, resampler, folder, random)

    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for own, build in zip(rates, (ours, originals), strict=True):
            seconds = cpu_seconds(build)
            if turn > 0:  # the first imports, compiles, and reads the files from the disk
                own.append(len(clips) / seconds)
    return rates


def clips_of(name: str, root: Path, count: int) -> tuple[AudioDataModule, list[Clip]]:
    """The corpus as it is configured, and `count` clips spread over it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"data={name}", f"data.root={root.absolute()}"])
    datamodule = AudioDataModule.from_config(config.check(cfg))
    clips = datamodule.corpus.clips()
    return datamodule, clips[:: max(1, len(clips) // count)][:count]


def build_cache(datamodule: AudioDataModule, clips: list[Clip], folder: Path) -> None:
    cache = open_cache(datamodule.corpus, clips, datamodule.settings, folder)
    assert len(cache) + len(cache.skipped) == len(clips)


def read_all(datamodule: AudioDataModule, clips: list[Clip], _: Path) -> None:
    for clip in clips:
        read_whole(datamodule.corpus.root / clip.path)


def as_published(root: Path, clip: Clip, resampler: str, folder: Path, random: np.random.Generator) -> None:
    """Resamples, embeds at a random offset, and writes: the waveform's half of the original's preprocessing.

    The other half, a file with the spectrogram, is left out: our side computes spectrograms when they are needed.
    """
    samples, rate = soundfile.read(root / clip.path, dtype="int16")
    samples = librosa.resample(samples.astype(np.float32), orig_sr=rate, target_sr=8000, res_type=resampler)
    samples = samples[:8000]  # the original stops at longer ones, and AudioMNIST has none
    embedded = np.zeros(8000)
    offset = random.integers(8000 - len(samples) + 1)
    embedded[offset : offset + len(samples)] = samples
    with h5py.File(folder / f"AudioNet_{Path(clip.path).stem}.hdf5", "w") as file:
        file["data"] = embedded[None, None]
        file["label"] = np.array([[int(clip.labels["digit"]), 0]])


def cpu_seconds(build: Callable[[Path], object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        build(Path(folder))
        return time.process_time() - started


if __name__ == "__main__":
    main()
