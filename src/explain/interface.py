"""What `import auscult` offers: the explanation of one recording, in a notebook or in the user's own program.

import auscult

model = auscult.load("outputs/DATE/TIME")       # or load(), or auscult.Model(network, classes=[…], sample_rate=8000)
explanation = auscult.explain(model, "dog.wav", attribution="lrp_epsilon_plus", domain="time_frequency")
explanation.relevance, explanation.probabilities, explanation.conservation_error
explanation.plot()
explanation.listen()
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.attribution.base import Attribution, as_attribution, attribution_of
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain as explain_clips
from auscult.explain.loading import TrainedModel
from auscult.explain.relevance.aim import aim_at
from auscult.explain.show.audible import SMOOTHING_SECONDS
from auscult.explain.show.explanation import Explanation
from auscult.explain.waveform import waveform_of
from auscult.mistake import Mistake
from auscult.modules.model import Model, look_like_probabilities
from auscult.plain_data import shown
from auscult.pretrained.around import model_around
from auscult.program.conf import choice, nearest

log = logging.getLogger(__name__)


def explain(
    model: Model | nn.Module,
    recording: str | Path | Tensor | np.ndarray,
    sample_rate: int | None = None,
    *,
    channels: int = 1,
    attribution: str | Mapping[str, Any] | Callable[..., Tensor] = "lrp_epsilon_plus",
    domain: str | Mapping[str, Any] | Domain | Callable[[Model, int], Domain] = "input",
    target: str | int | list[str] | list[int] | None = None,
    against: str | int | list[str] | list[int] | None = None,
    smoothing: float = SMOOTHING_SECONDS,
) -> Explanation:
    """Explains the prediction of a model for one recording.

    Args:
        model: a model that `load` returns, a `Model` around any network, or any network that takes waveforms of
            `sample_rate` and `channels`; the classes of the last have numbers. It runs on its own device and stays as
            it was.
        recording: a file, or samples (T,) or (channels, T), floats in [-1, 1] or int16. For a model of `load`, the
            recording is prepared as in its training: mixed, trimmed, resampled, in the middle of a clip. Any other
            model gets the whole recording, resampled. A model of several channels gets them as
            they are, or one for all.
        sample_rate: sample rate of the samples, in hertz. Without it, the samples are taken as the waveform itself,
            and nothing is prepared.
        channels: of the waveforms that a network takes which is no `Model`.
        attribution: a name in conf/attribution, a name with options, {"name": "lrp_box", "low": 0}, or a callable
            `(network, input, target) -> relevance`.
        domain: where relevance is looked at: a name in conf/domain, a name with options, a `Domain`, or a callable
            `(model, samples) -> Domain`.
        target: the class, tag or number that is explained, by name or number; several classes in a list; None: the
            likeliest class or tag.
        against: other classes, or "rest" for all others: explains what speaks for the target rather than for these.
        smoothing: of relevance of samples before it is heard, in seconds, see `audible.sounds`; 0: as published.

    Raises:
        Mistake: the recording cannot be used, the attribution, domain or class is unknown, or the model cannot be
            explained in this way.
    """
    if isinstance(model, str | Path):
        raise Mistake("explain(model, recording) takes a model first; auscult.load(…) gives that of a checkpoint.")
    if not isinstance(model, nn.Module):
        raise Mistake(f"a {type(model).__name__} is no model; give a torch.nn.Module, or auscult.load(…).")
    if not isinstance(smoothing, int | float) or isinstance(smoothing, bool) or not 0 <= smoothing <= 1:
        raise Mistake(f"smoothing={shown(smoothing)} is no number from 0 to 1 second.")
    if not isinstance(model, Model):
        around = wrapped(model, recording, sample_rate, channels)
        return explain(*around, attribution=attribution, domain=domain, target=target, against=against,
                       smoothing=smoothing)  # fmt: skip
    if channels not in (1, model.channels) or isinstance(channels, bool):
        raise Mistake(f"channels={shown(channels)}: the model has {model.channels}; leave channels out.")
    settings = model.settings if isinstance(model, TrainedModel) else None
    how: dict[str, Any] = {"place": place_in(model), "channels": model.channels}
    waveform, cut = waveform_of(recording, sample_rate, model.sample_rate, settings, **how)
    method = attribution_from(attribution)
    model, number = aimed(model, target, against, domain)
    with evaluating(model):
        place = domain_from(domain, model, waveform.shape[1])
        batch = torch.from_numpy(waveform)[None].to(model.device)  # (1, C, T)
        explained = explain_clips(place, method, batch, "predicted" if number is None else number)
    relevance = explained.relevance[0].cpu()
    shape = tuple(relevance.shape)
    return Explanation(
        model=place.model,
        waveform=torch.from_numpy(waveform[0] if len(waveform) == 1 else waveform),
        logits=explained.logits[0].cpu(),
        target=model.classes[int(explained.target)],
        relevance=relevance[0] if len(shape) > 1 and shape[0] == 1 else relevance,
        apart=float(explained.apart),
        biases=None if explained.biases is None else float(explained.biases),
        unshared=None if explained.unshared is None else float(explained.unshared),
        shape=shape,
        cut=cut,
        smoothing=smoothing,
        attribution=method,
    )


def aimed(model: Model, target: Any, against: Any, domain: Any) -> tuple[Model, int | None]:
    """The model that answers the question, and the output that is explained; None for the likeliest class.

    A `Domain` was made for the model itself, which is not narrowed, then.

    Raises:
        Mistake: the model cannot be asked for the target, or only one that is narrowed.
    """
    is_grouped = isinstance(target, list | tuple) or against is not None
    if isinstance(domain, Domain) and is_grouped:
        raise Mistake(
            "target and against make another model, for which domain=… was not made; name the domain instead."
        )
    if is_grouped or (target is not None and model.kind != "classes" and not isinstance(domain, Domain)):
        asked = "predicted" if target is None else names_in(target, model.classes, "target")
        aim = aim_at(model, asked, None if against is None else names_in(against, model.classes, "against"))
        return aim.model, aim.target if isinstance(aim.target, int) else None
    return model, class_of(target, model.classes)


def names_in(given: Any, classes: list[str], option: str) -> str | list[str]:
    """Classes by name or number as their names.

    Raises:
        Mistake: there are none, or a number is that of no class.
    """
    if isinstance(given, list | tuple):
        if not given:
            raise Mistake(f"{option}=[] names no class; name one, or leave it out.")
        return [str(names_in(each, classes, option)) for each in given]
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        if not 0 <= given < len(classes):
            raise Mistake(f"{option}={given} is no class of the model; name one, or a number under {len(classes)}.")
        return classes[int(given)]
    return str(given)


def place_in(model: Model) -> float:
    """Where a short recording lies in its clip: in the middle, or at the start for a network of the user's own."""
    return model.place if isinstance(model, TrainedModel) else 0.5


def wrapped(
    network: nn.Module, recording: str | Path | Tensor | np.ndarray, sample_rate: int | None, channels: int
) -> tuple[Model, np.ndarray]:
    """The model of a network that takes waveforms of this rate and so many channels, and a recording as one (C, T).

    Raises:
        Mistake: the rate is not given, the recording cannot be used, or the network cannot take it.
    """
    if sample_rate is None:
        raise Mistake("explain(network, recording) needs sample_rate=…, that of the waveforms which the network takes.")
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise Mistake(f"channels={shown(channels)} is not a whole number of 1 or more.")
    is_file = isinstance(recording, str | Path)
    waveform, _ = waveform_of(recording, None if is_file else sample_rate, sample_rate, None, channels=channels)
    how: dict[str, Any] = {"sample_rate": sample_rate, "samples": waveform.shape[1], "channels": channels}
    with evaluating(network):
        return model_around(network, **how), waveform


def attribution_from(given: Any) -> Attribution:
    """Makes the attribution that `explain` was given.

    Raises:
        Mistake: there is no such attribution.
    """
    if isinstance(given, str | Mapping):
        return attribution_of(named("attribution", given))
    if callable(given):
        return as_attribution(given)
    raise Mistake(f"attribution={shown(given)} is no name of conf/attribution, no options of one, and no callable.")


def domain_from(given: Any, model: Model, samples: int) -> Domain:
    """Makes the domain that `explain` was given, for waveforms with this number of samples.

    Raises:
        Mistake: there is no such domain, or the model cannot be given waveforms of this length.
    """
    if isinstance(given, Domain):
        return given
    check_takes(model, samples)
    if isinstance(given, str | Mapping):
        made: Domain = build_named(named("domain", given), "domain", model, samples)
    elif callable(given):
        made = given(model, samples)
    else:
        raise Mistake(f"domain={shown(given)} is no name of conf/domain, no options of one, and no Domain.")
    made.model.to(model.device)
    return made


def named(group: str, given: str | Mapping[str, Any]) -> dict[str, Any]:
    """Reads a choice of a configuration group, given its name or `{"name": …, option: value}`."""
    options = {"name": given} if isinstance(given, str) else dict(given)
    if not isinstance(options.get("name"), str):
        raise Mistake(f'{group}={shown(options)} has no name of conf/{group}; say {{"name": …}}.')
    return choice(group, options.pop("name"), **options)


def class_of(target: str | int | None, classes: list[str]) -> int | None:
    """The number of the class that `explain` was given; None for the likeliest class."""
    if target is None or (target == "predicted" and target not in classes):
        return None
    if isinstance(target, str):
        if target not in classes:
            raise Mistake(f"target={shown(target)} is no class of the model; {nearest(target, classes)}.")
        return classes.index(target)
    if isinstance(target, bool) or not isinstance(target, int | np.integer) or not 0 <= target < len(classes):
        raise Mistake(f"target={shown(target)} is no class of the model; name one, or a number under {len(classes)}.")
    return int(target)


def check_takes(model: Model, samples: int) -> None:
    """Tries the model on silence with this number of samples.

    Raises:
        Mistake: the model fails, or its output is not one logit for each class.
    """
    try:
        with torch.no_grad():
            logits = model.logits(model.silence(samples))
    except Mistake:
        raise
    except Exception as error:  # a user's network may raise anything
        why = shown(" ".join(str(error).split()), 200)
        seconds = samples / model.sample_rate
        raise Mistake(
            f"the model cannot be given {samples} samples ({seconds:g} s at {model.sample_rate} Hz):"
            f" {type(error).__name__}: {why}; give a waveform as long as those that it was trained on."
        ) from error
    check_logits(logits, len(model.classes), model.kind)


def check_logits(logits: Tensor, classes: int, kind: str = "classes") -> None:
    """Checks what a network gives for one clip; warns if it looks like probabilities.

    Raises:
        Mistake: it is not one logit for each class, (1, classes), or there is one class only.
    """
    given = f"the network gives {tuple(logits.shape)} for one clip"
    if kind != "number" and (classes < 2 or logits.shape == (1, 1)):
        raise Mistake(
            f"{given}, and has {classes} classes; two or more are needed, with a logit each: let a network with one"
            " output z for a yes give torch.cat([torch.zeros_like(z), z], 1) for no and yes."
        )
    if logits.ndim != 2 or len(logits) != 1:
        raise Mistake(f"{given}; of waveforms (B, 1, T) it has to make logits (B, {classes}), here (1, {classes}).")
    if logits.shape[1] != classes:
        raise Mistake(f"{given}, and has {classes} classes; name as many classes as it tells apart.")
    if kind == "classes" and look_like_probabilities(logits):
        log.warning("what the network gives is positive and sums to 1, as probabilities do: leave its softmax out.")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches a model to evaluation mode, and gives each module its own mode back at the end."""
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        yield
    finally:
        for module in training:
            module.training = True
