"""How long a leaderboard will take, from the time that one clip takes by each attribution."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from auscult.build import build_named
from auscult.checkpoint.card import trained_config
from auscult.explain.attribution.base import attribution_of
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.explanation import source_of
from auscult.explain.measures.checks import layers_of
from auscult.leaderboard.ranking import CONTROLS
from auscult.modules.model import Model
from auscult.pretrained.opening import Opened
from auscult.progress import tracked

DRAWING = 7.0  # seconds for the report of one attribution
CHANGED = 3  # explanations of a checked clip besides those of a network whose layers are randomised, see `Checks`
ORDERS = 3  # of removal, besides random ones
OTHERS = 5  # forward passes of a clip for measures besides curves
MASKS = 200  # forward passes of a clip by masking, if the attribution does not say how many


def estimated(configs: Sequence[dict[str, Any]], subject: Opened) -> list[float]:
    """Seconds that each explanation will take on a CPU; 0 for one that is not possible.

    Args:
        configs: checked options of explanations of one model and the same clips.
        subject: the model.

    Raises:
        Mistake: the clips cannot be read.
    """
    if not configs:
        return []
    model, first = subject.model, configs[0]
    trained = trained_config(subject.card, first["data"], first["checkpoint"], reads_corpus=not first["input"])
    source = source_of(first, trained, subject.card)
    waveform: Tensor = source.dataset.__getitems__([0])["waveform"]
    layers, clips = len(layers_of(model.network)), len(source.clips)
    forward = forward_seconds(model, waveform)
    return [
        of_explanation(config, clips, explaining_seconds(config, model, waveform, forward), forward, layers)
        for config in tracked(configs, "trying attributions", len(configs))
    ]


def forward_seconds(model: Model, waveform: Tensor, clips: int = 8) -> float:
    """Seconds of a forward pass of one of several clips (1, 1, T)."""
    batch = waveform.expand(clips, -1, -1)
    with torch.no_grad():
        model(batch)  # the first one takes longer
        began = monotonic()
        model(batch)
    return (monotonic() - began) / clips


def explaining_seconds(config: dict[str, Any], model: Model, waveform: Tensor, forward: float) -> float:
    """Seconds of explaining one clip; 0 if that is not possible. Masking is not tried: it takes too long for that."""
    try:
        attribution = attribution_of(config["attribution"])
        if attribution.asks_logits_only and config["attribution"]["name"] not in CONTROLS:
            return forward * float(config["attribution"].get("masks", MASKS))
        domain: Domain = build_named(config["domain"], "domain", model, waveform.shape[-1])
        began = monotonic()
        explain(domain, attribution, waveform)
        return monotonic() - began
    except Exception:  # the explanation itself will say what is wrong
        return 0.0


def of_explanation(config: dict[str, Any], clips: int, explaining: float, forward: float, layers: int) -> float:
    """Seconds of one explanation; 0 if it is not possible.

    Args:
        config: its checked options.
        clips: how many are explained.
        explaining, forward: seconds of explaining one clip, and of a forward pass.
        layers: layers of the network that checks randomise.
    """
    if not explaining:
        return 0.0
    options = config["perturbation"]
    curves = (ORDERS + options["random_orders"]) * len(options["fractions"] or ()) + 2 * len(options["energies"] or ())
    explanations = clips + min(config["checks"], clips) * (layers + CHANGED)
    return explanations * explaining + clips * (OTHERS + curves) * forward + DRAWING
