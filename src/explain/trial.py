"""Attributions at work on one clip, before hours of training: what they cannot do is known then."""

from collections.abc import Iterable

from hydra import compose

from auscult.datamodules.recording import ClipSettings
from auscult.explain.attribution.base import Attribution, attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.show.clip import View
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.program.config import plain
from auscult.run.trial import noise


def try_attribution(attribution: Attribution, classifier: Classifier, settings: ClipSettings) -> None:
    """Finds the relevance of one clip.

    Raises:
        Mistake: the attribution cannot be asked of this network, or its relevance cannot be drawn.
    """
    model = Model.of(classifier, settings.sample_rate)
    with noise(model, settings) as waveform:
        explained = explain(Input(model, waveform.shape[-1]), attribution, waveform, 0)
    View.of(model, tuple(explained.input.shape[1:]))


def try_each(names: Iterable[str], classifier: Classifier, settings: ClipSettings) -> None:
    """The same for choices of `conf/attribution`, by name.

    Raises:
        Mistake: see `try_attribution`.
    """
    for name in names:
        node = plain(compose("explain", [f"attribution={name}"]).attribution)
        try_attribution(attribution_of(node), classifier, settings)
