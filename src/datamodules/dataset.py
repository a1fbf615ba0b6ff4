"""Turns clips of a cache into batches of waveforms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from auscult.datamodules.audio.filters import FULL_SCALE
from auscult.datamodules.cache import Cache
from auscult.datamodules.confound import Confound

Batch = dict[str, torch.Tensor]


class ClipDataset(Dataset[Batch]):
    """Cached clips, each embedded in silence; indexed by whole batches.

    Args:
        cache: the prepared clips.
        clips: (N,) positions of the clips in the cache.
        labels: (N, ...) what a network is to answer, see `kinds`.
        length: samples of a waveform, T.
        places: returns (N,) places of the clips in their silence: 0 is at the start, 1 at the end.
        confound: is planted into the clips that carry it, `planted` (N,) bool.
    """

    def __init__(
        self,
        cache: Cache,
        clips: np.ndarray,
        labels: np.ndarray,
        length: int,
        places: Callable[[], np.ndarray],
        confound: Confound | None = None,
    ) -> None:
        self.cache, self.clips, self.labels, self.length, self.places = cache, clips, labels, length, places
        self.confound = confound
        self.planted = np.array([bool(confound and confound.carried_by(cache.clips[clip])) for clip in clips], bool)

    def of_rows(self, rows: np.ndarray, labels: np.ndarray) -> "ClipDataset":
        """The clips in some rows, (M,), each at its place, with other labels (M, ...)."""
        return ClipDataset(
            self.cache, self.clips[rows], labels, self.length, lambda: self.places()[rows], self.confound
        )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: list[int]) -> Batch:
        waveforms = np.zeros((len(indices), self.cache.channels, self.length), np.float32)  # (B, C, T)
        places = self.places()
        for waveform, index in zip(waveforms, indices, strict=True):
            samples = self.cache.samples(self.clips[index])
            offset = round(places[index] * (self.length - samples.shape[1]))
            end = offset + samples.shape[1]
            full = FULL_SCALE if samples.dtype == np.int16 else 1
            np.divide(samples, full, out=waveform[:, offset:end], dtype=np.float32)
            if self.confound and self.planted[index]:
                self.confound.plant(waveform, offset, end, self.cache.clips[self.clips[index]])
        return {
            "waveform": torch.from_numpy(waveforms),
            "label": torch.from_numpy(self.labels[indices]),
            "clip": torch.from_numpy(self.clips[indices]),
        }


def loader(dataset: ClipDataset, batch_size: int, sampler: Any) -> DataLoader[Batch]:
    """Loads batches of the dataset in the sampler's order."""
    # The cache is memory-mapped and a batch is a copy from it: worker processes would only add cost.
    own = torch.Generator()  # a loader draws a number when it starts, which must not change what dropout draws
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, collate_fn=lambda batch: batch, generator=own)
