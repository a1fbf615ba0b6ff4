"""Attributions at work on one clip, before hours of training: what they cannot do is known then."""

from typing import Any

import torch

from auscult.build import build_named
from auscult.datamodules.recording import ClipSettings
from auscult.explain.attribution.base import Attribution, attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.intervention.interventions import Change, Intervention
from auscult.explain.options import check_question, options_at_end
from auscult.explain.show.clip import View
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.program.explain_by import explanations_of
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
