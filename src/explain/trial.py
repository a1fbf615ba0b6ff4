"""Tries attributions and interventions on one clip before the training, so that their mistakes come at once."""

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
    """Computes the relevance of one clip of noise.

    Raises:
        Mistake: the attribution cannot explain this network, or its relevance cannot be drawn.
    """
    model = Model.of(classifier, settings.sample_rate, settings.channels)
    with noise(model, settings) as waveform:
        explained = explain(Input(model, waveform.shape[-1]), attribution, waveform, 0)
    View.of(model, tuple(explained.input.shape[1:]))


def try_intervention(intervention: Intervention, classifier: Classifier, settings: ClipSettings) -> None:
    """Applies the intervention and its shams to one clip of noise.

    Raises:
        Mistake: the intervention does not suit this network.
    """
    model = Model.of(classifier, settings.sample_rate, settings.channels)
    changes: list[Change] = [intervention, *intervention.shams().values()]
    with noise(model, settings) as waveform, torch.no_grad():
        for change in changes:
            change(model, waveform, torch.zeros(1, dtype=torch.int64, device=waveform.device))


def try_each(config: dict[str, Any], classifier: Classifier, settings: ClipSettings) -> None:
    """Tries each explanation that follows at the end of the training.

    Args:
        config: the configuration of the training.
        classifier: the classifier before its training.
        settings: how its clips are prepared.

    Raises:
        Mistake: see `try_attribution` and `try_intervention`; or an explanation has a wrong option.
    """
    for explanation in explanations_of(config).values():
        options = check_question(options_at_end(config, explanation))
        if options.get("intervention"):
            intervention: Intervention = build_named(options["intervention"], "intervention", settings.sample_rate)
            try_intervention(intervention, classifier, settings)
        try_attribution(attribution_of(options["attribution"]), classifier, settings)
