"""Explaining one clip before hours of training: what this network cannot be asked is better known then."""

from collections.abc import Iterable

import torch
from hydra import compose

from src.build import build_named
from src.config import plain
from src.datamodules.datamodule import AudioDataModule
from src.explain.attribution import Attribution, relevance_of
from src.explain.panels import View
from src.modules.classifier import Classifier


def try_attribution(attribution: Attribution, classifier: Classifier, datamodule: AudioDataModule) -> None:
    """Finds the relevance of one clip; draws no random numbers of the caller's.

    Raises:
        Mistake: the attribution cannot be asked of this network, or its relevance cannot be drawn.
    """
    waveform = datamodule.evaluation_dataset(datamodule.split.test[:1]).__getitems__([0])["waveform"]
    device = next((weight.device for weight in classifier.parameters()), torch.device("cpu"))
    with torch.random.fork_rng():
        with torch.no_grad():
            input = classifier.front_end(waveform.to(device))
        View.of(classifier, datamodule.settings.sample_rate, tuple(input.shape[1:]))
        relevance_of(attribution, classifier.network, input, torch.zeros(1, dtype=torch.long, device=device))


def try_each(names: Iterable[str], classifier: Classifier, datamodule: AudioDataModule) -> None:
    """The same for choices of `conf/attribution`, by name.

    Raises:
        Mistake: see `try_attribution`.
    """
    for name in names:
        node = plain(compose("explain", [f"attribution={name}"]).attribution)
        try_attribution(build_named(node, "attribution"), classifier, datamodule)
