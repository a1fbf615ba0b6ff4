"""What a network is given of clips, and of silence."""

from collections.abc import Iterator

import torch
from torch import Tensor

from src.datamodules.datamodule import ClipDataset, loader
from src.modules.classifier import Classifier


def silence_of(classifier: Classifier, samples: int) -> Tensor:
    """What the front end makes of digital silence, (1, ...)."""
    with torch.no_grad():
        return classifier.front_end(torch.zeros(1, 1, samples, device=classifier.device))


def inputs_of(classifier: Classifier, dataset: ClipDataset, batch_size: int) -> Iterator[Tensor]:
    """The network's inputs of all clips, in batches (B, ...)."""
    for batch in loader(dataset, batch_size, range(len(dataset))):
        with torch.no_grad():
            yield classifier.front_end(batch["waveform"].to(classifier.device))
