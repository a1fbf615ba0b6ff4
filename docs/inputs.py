"""Draws `docs/inputs.png`, the picture of the README.

python docs/inputs.py ../shared/data/audiomnist_az
"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from auscult.datamodules.audiomnist_az import AudioMNISTAz
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.recording import ClipSettings, load
from auscult.datamodules.synthetic import Synthetic
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform

SYNTHETIC = Synthetic(repetitions=1, seed=0, sex_cue="both")


def waveform(corpus: Corpus, clip: Clip) -> torch.Tensor:
    """A clip in the middle of a second of silence, (1, 1, 8000)."""
    samples = load(corpus, clip, ClipSettings()).samples
    offset = (8000 - len(samples)) // 2
    return torch.from_numpy(np.pad(samples / 32768, (offset, 8000 - len(samples) - offset))).float()[None, None]


def main(root: str) -> None:
    recorded = AudioMNISTAz(root)
    chosen = {
        "made: “seven”, speaker 01": (SYNTHETIC, next(c for c in SYNTHETIC.clips() if c.path == "01/7_01_0.wav")),
        "recorded: Azerbaijani “yeddi”, speaker 10": (
            recorded,
            next(c for c in recorded.clips() if c.speaker == "10" and c.labels["digit"] == "7"),
        ),
    }
    figure = Figure((11, 5), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(1, 2.2))
    front_end = DecibelSpectrogram(raw_decibels=True)
    for column, (title, (corpus, clip)) in enumerate(chosen.items()):
        clip_waveform = waveform(corpus, clip)
        axes[0, column].plot(np.arange(8000) / 8000, NormalizedWaveform()(clip_waveform)[0, 0], lw=0.5, color="#1f4e79")
        axes[0, column].set(title=title, xlim=(0, 1))
        image = axes[1, column].pcolormesh(
            front_end.times, front_end.frequencies, front_end(clip_waveform)[0, 0], cmap="magma", rasterized=True
        )
        axes[1, column].set(xlabel="seconds", facecolor="black")
    axes[0, 0].set(ylabel="AudioNet's input")
    axes[1, 0].set(ylabel="AlexNet's input\nhertz")
    figure.colorbar(image, ax=axes[1], label="decibels")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main(sys.argv[1])
