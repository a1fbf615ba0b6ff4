"""The inputs of a network for the clips of a data set."""

from collections.abc import Iterator

import torch
from torch import Tensor

from auscult.datamodules.dataset import ClipDataset, loader
from auscult.modules.model import Model


def inputs_of(model: Model, dataset: ClipDataset, batch_size: int) -> Iterator[Tensor]:
    """Yields the network's inputs of all clips, in batches (B, ...)."""
    for batch in loader(dataset, batch_size, range(len(dataset))):
        with torch.no_grad():
            yield model.front_end(batch["waveform"].to(model.device))
