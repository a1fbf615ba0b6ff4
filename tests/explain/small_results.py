"""A complete relevance file of a few clips, made by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
from torch import Tensor, nn

from auscult.datamodules.clips import Clip
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.source import Source
from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.relevance.question import Question
from auscult.explain.relevance.results import Results
from auscult.explain.show.clip import View
from auscult.modules.model import Model

RATE, ROWS, COLUMNS = 1000, 4, 10  # ten columns of 0.1 s
FREQUENCIES, TIMES = np.array([100.0, 200.0, 400.0, 800.0]), np.arange(COLUMNS) / 10
SILENCE = -80.0


class Peaks(nn.Module):
    """(B, 1, 4, 10) of (B, 1, 1000): the peak of each tenth of a second in every row, -80 for silence."""

    frequencies, times = FREQUENCIES, TIMES

    def forward(self, waveform: Tensor) -> Tensor:
        peak = waveform.abs().reshape(-1, 1, 1, COLUMNS, 100).amax(-1)
        return peak.masked_fill(peak == 0, SILENCE).expand(-1, -1, ROWS, -1)


def small_view() -> View:
    """Of spectrograms."""
    return View.of(Model(nn.Identity(), front_end=Peaks(), classes=[], sample_rate=RATE), (1, ROWS, COLUMNS))


def wave_view() -> View:
    return View.of(Model(nn.Identity(), classes=[], sample_rate=RATE), (1, RATE))


def clip(onset: float, seconds: float = 0.2, level: float = 0.5) -> np.ndarray:
    """A waveform (1000,) with a sound that begins after so many seconds."""
    waveform = np.zeros(RATE)
    waveform[round(onset * RATE) : round((onset + seconds) * RATE)] = level
    return waveform


def small_results(
    folder: Path,
    relevance: np.ndarray,
    label: list[int],
    probability: list[list[float]],
    classes: list[str],
    waveforms: list[np.ndarray] | None = None,
    biases: list[float] | None = None,
) -> Results:
    """Results of N clips, called `<row>.wav`.

    Args:
        folder: for the file.
        relevance: (N, 1000) or (N, 4, 10).
        label: N classes.
        probability: (N, C).
        classes: C names.
        waveforms: N of (1000,); None: sounds from the start.
        biases: N; None: as in files from before it was written down.
    """
    logits = np.log(np.maximum(np.array(probability), 1e-9))
    with h5py.File(folder / "relevance.h5", "w") as file:
        file["relevance"], file["prediction"] = relevance[:, None].astype(np.float32), logits
        file["label"], file["target"], file["logit"] = np.array(label), logits.argmax(1), logits.max(1)
        file["apart"] = np.zeros(len(label), np.float32)
        if biases is not None:
            file["biases"] = np.array(biases, np.float32)
    memory = [np.round(32768 * waveform[None]).astype(np.int16) for waveform in waveforms or [clip(0.0)] * len(label)]
    cache: Any = SimpleNamespace(samples=memory.__getitem__, channels=1)
    dataset = ClipDataset(cache, np.arange(len(label)), np.array(label), RATE, lambda: np.zeros(len(label)))
    clips = [Clip(f"{row}.wav", f"source {row}") for row in range(len(label))]
    nowhere: Any = SimpleNamespace(model=SimpleNamespace(kind="classes"))  # nothing is asked any more
    question = Question(GradientXInput(), nowhere, "predicted")
    return Results(folder / "relevance.h5", Source(dataset, clips, [], "source"), question, classes, seed=0)
