"""A network and its attributions at work on one clip, before hours of training: what they cannot do is known then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from auscult.build import build_named
from auscult.datamodules.recording import ClipSettings
from auscult.explain.attribution.base import Attribution, attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.intervention.interventions import Change, Intervention
from auscult.explain.options import check_question, options_at_end
from auscult.explain.show.clip import View
from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.plain_data import shown
from auscult.program.explain_by import explanations_of


def try_network(classifier: Classifier, settings: ClipSettings, own: bool) -> None:
    """Has one clip classified.

    Args:
        settings: of the clips.
        own: whether parts of the network are the user's own, who wants to see where their code fails.

    Raises:
        Mistake: the network cannot take what the front end gives, or gives no logit for each class.
    """
    network = type(classifier.network).__name__
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        with noise(Model.of(classifier, settings.sample_rate), settings) as waveform, torch.no_grad():
            logits = classifier.network(classifier.front_end(waveform))
    except Mistake:
        raise
    except Exception as error:
        if own:
            raise
        raise Mistake(
            f"model: {network} cannot take clips of data.clip.seconds={settings.seconds:g} at"
            f" data.clip.sample_rate={settings.sample_rate} ({type(error).__name__}:"
            f" {shown(' '.join(str(error).split()), 160)}); change these, or the options of model.network."
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(logits, Tensor) or logits.shape != (1, len(classifier.classes)):
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise Mistake(
            f"model.network: {network} gives {given} for one clip; logits of the shape (1, {len(classifier.classes)}),"
            " one for each class, are wanted."
        )


def try_optimizer(classifier: Classifier, own: bool) -> None:
    """Makes an optimizer and a schedule.

    Args:
        own: whether one of them may be the user's own.

    Raises:
        Mistake: they do not take their options.
    """
    try:
        classifier.optimization(steps=1)
    except Mistake:
        raise
    except Exception as error:
        if own:
            raise
        reason = f"{type(error).__name__}: {shown(' '.join(str(error).split()), 160)}"
        raise Mistake(f"optimizer: it does not take its options, or those of its schedule ({reason}).") from error


def try_attribution(attribution: Attribution, classifier: Classifier, settings: ClipSettings) -> None:
    """Finds the relevance of one clip.

    Raises:
        Mistake: the attribution cannot be asked of this network, or its relevance cannot be drawn.
    """
    model = Model.of(classifier, settings.sample_rate)
    with noise(model, settings) as waveform:
        explained = explain(Input(model, waveform.shape[-1]), attribution, waveform, 0)
    View.of(model, tuple(explained.input.shape[1:]))


def try_intervention(intervention: Intervention, classifier: Classifier, settings: ClipSettings) -> None:
    """Changes one clip.

    Raises:
        Mistake: this network cannot be asked so.
    """
    model = Model.of(classifier, settings.sample_rate)
    changes: list[Change] = [intervention, *intervention.shams().values()]
    with noise(model, settings) as waveform, torch.no_grad():
        for change in changes:
            change(model, waveform, torch.zeros(1, dtype=torch.int64, device=waveform.device))


def try_each(config: dict[str, Any], classifier: Classifier, settings: ClipSettings) -> None:
    """Tries all out that is to explain the network at the end of its training.

    Args:
        config: of the training.

    Raises:
        Mistake: see `try_attribution` and `try_intervention`; or an explanation has an option that cannot be.
    """
    for explanation in explanations_of(config).values():
        asked = check_question(options_at_end(config, explanation))
        if asked.get("intervention"):
            intervention: Intervention = build_named(asked["intervention"], "intervention", settings.sample_rate)
            try_intervention(intervention, classifier, settings)
        try_attribution(attribution_of(asked["attribution"]), classifier, settings)


@contextmanager
def noise(model: Model, settings: ClipSettings) -> Iterator[Tensor]:
    """A clip of noise, (1, 1, T); the random numbers that are drawn meanwhile are not the caller's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        waveform = 0.1 * torch.randn(1, 1, round(settings.seconds * settings.sample_rate))
        yield waveform.to(model.device)
