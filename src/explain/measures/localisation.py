"""Where the cues of synthetic clips lie in a domain: the truth that relevance is measured against."""

from collections.abc import Sequence

import numpy as np

from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.synthetic import Cue


def beginning(dataset: ClipDataset, row: int, sample_rate: int) -> float:
    """When in its recording a clip's frame begins, in seconds; below 0 where silence comes first.

    Args:
        dataset: of the clips.
        row: which.
        sample_rate: of the clips, in hertz.
    """
    clip = dataset.clips[row]
    offset = round(dataset.places()[row] * (dataset.length - int(dataset.cache.lengths[clip])))
    return (int(dataset.cache.starts[clip]) - offset) / sample_rate


def cue_mask(cues: Sequence[Cue], begins: float, frequencies: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which coefficients (F, N) any of the cues lies at, bool.

    Args:
        cues: of one recording.
        begins: see `beginning`.
        frequencies: (F,) in hertz.
        times: (N,) in seconds from the start of the frame.
    """
    mask = np.zeros((len(frequencies), len(times)), bool)
    for cue in cues:
        step = float(cue.seconds[1] - cue.seconds[0])
        frame = np.rint((times + begins - cue.seconds[0]) / step).astype(int)  # the nearest, (N,)
        inside = (frame >= 0) & (frame < len(cue.seconds))
        low, high = (
            np.where(inside, bound[frame.clip(0, len(bound) - 1)], np.nan) for bound in (cue.low_hz, cue.high_hz)
        )
        mask |= (frequencies[:, None] >= low) & (frequencies[:, None] <= high)  # never where they are NaN
    return mask
