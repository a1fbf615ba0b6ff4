"""Tries a network on one clip, and its optimizer, before hours of training."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model, look_like_probabilities
from auscult.parts import place_of
from auscult.plain_data import shown

log = logging.getLogger(__name__)


def try_network(classifier: Classifier, settings: ClipSettings, own: bool) -> None:
    """Classifies one clip.

    Args:
        settings: how clips are made.
        own: whether parts of the network are the user's own: the message says where their code fails, then.

    Raises:
        Mistake: the network cannot take what the front end gives, gives no logit for each class, or cannot learn.
    """
    network = type(classifier.network).__name__
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        with (
            noise(Model.of(classifier, settings.sample_rate, settings.channels), settings) as waveform,
            torch.no_grad(),
        ):
            input = classifier.front_end(waveform)
            logits = classifier.network(input)
    except Mistake:
        raise
    except Exception as error:
        where = f" in {shown(place_of(error))}" if own else ""
        raise Mistake(
            f"model: {network} cannot take clips of data.clip.seconds={settings.seconds:g} at"
            f" data.clip.sample_rate={settings.sample_rate} ({type(error).__name__}{where}:"
            f" {shown(' '.join(str(error).split()), 160)}); change these, or the options of model.network."
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(logits, Tensor) or logits.shape != (1, len(classifier.classes)):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise Mistake(
            f"model.network: {network} gives {shape} for one clip; logits of the shape (1, {len(classifier.classes)}),"
            " one for each class, are wanted."
        )
    if not any(parameter.requires_grad for parameter in classifier.parameters()):  # that of the front end, too
        if classifier.frozen:
            raise Mistake(f"model.freeze=[{','.join(classifier.frozen)}] leaves nothing that learns; leave a part out.")
        raise Mistake(
            f"model.network: {network} has no parameter that can learn; set requires_grad of those that are to learn."
        )
    if classifier.augmentation.band_mask and input.dim() != 4:
        log.warning("augmentation.band_mask does nothing here: the input of %s has no axis of frequencies.", network)
    if look_like_probabilities(logits):
        log.warning(
            "model.network: what %s gives is positive and sums to 1, as probabilities do; logits are wanted: leave"
            " its softmax out", network,
        )  # fmt: skip


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
        way_out = "; a list takes brackets, as 'optimizer.betas=[0.9,0.999]'" if "subscriptable" in reason else ""
        raise Mistake(
            f"the options of optimizer, or of optimizer.schedule, do not fit its class ({reason}){way_out}."
        ) from error


@contextmanager
def noise(model: Model, settings: ClipSettings) -> Iterator[Tensor]:
    """Gives a clip of noise, (1, C, T). The caller's random numbers stay as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        waveform = 0.1 * torch.randn(1, settings.channels, round(settings.seconds * settings.sample_rate))
        yield waveform.to(model.device)
