"""Opens what is explained: the network of a checkpoint, or a network of the user's own with its weights."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auscult.checkpoint.checkpoint import KEY, model_of, open_checkpoint
from auscult.datamodules.audio.audio_file import BadRecording, read_whole
from auscult.datamodules.audio.lengths import longest
from auscult.datamodules.recording import ClipSettings, prepare
from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.modules.narrowed import Likeness
from auscult.parts import build_part
from auscult.pretrained.around import model_around
from auscult.pretrained.factory import network_of
from auscult.pretrained.frames import Frames
from auscult.pretrained.hugging_face import from_hub
from auscult.pretrained.options import LIKENESS, NUMBER, check_described
from auscult.pretrained.weights import load_weights
from auscult.program.conf import choices_of, content_of
from auscult.program.paths import HUB

log = logging.getLogger(__name__)

CLOSE = 0.01  # seconds: recordings that are meant to have one length differ by less
LONGEST = 10.0  # seconds of clips, unless the options say more
UNPREPARED = {"preparation": "untouched", "highpass_hz": None, "trim_db": None, "min_seconds": 0.0, "short": "pad"}


@dataclass(frozen=True)
class Opened:
    """A model that is explained, and what is known of it.

    Args:
        model: in evaluation mode, on the CPU.
        card: `{"config", "classes", "speakers"}` as in a checkpoint, see `card`; of a network of the user's own, the
            name of the corpus is None.
    """

    model: Model
    card: dict[str, Any]

    @property
    def is_own(self) -> bool:
        """Whether the network is the user's own, and not of a checkpoint."""
        return self.card["config"]["data"]["name"] is None


def opened(config: dict[str, Any]) -> Opened:
    """Opens what a checked configuration names.

    Args:
        config: `checkpoint` and `allow`; or `network`, the other options of `conf/pretrained.yaml`, and `input`.

    Raises:
        Mistake: see `open_checkpoint`, `model_of` and `own_network`.
    """
    if not config.get("network"):
        checkpoint = open_checkpoint(config["checkpoint"], "checkpoint", config["allow"])
        return Opened(model_of(checkpoint), checkpoint[KEY])
    return own_network(config)


def own_network(config: dict[str, Any], module: nn.Module | None = None) -> Opened:
    """Opens a network of the user's own, or one of Hugging Face.

    Args:
        config: see `opened`.
        module: the network, if it is built already.

    Raises:
        Mistake: it cannot be built, its weights do not fit, or it makes no logits of waveforms.
    """
    name, classes, rate = config["network"], config["classes"], config["sample_rate"]
    front_end: nn.Module | None = None
    network: nn.Module
    if name.startswith(HUB):
        network, front_end, own_classes, own_rate = from_hub(name)
        classes = own_classes if classes is None else classes
        if rate not in (None, own_rate):
            raise Mistake(f"sample_rate={rate}: {name} was made for {own_rate} Hz; leave sample_rate out.")
        rate = own_rate
    else:
        count = None if classes is None else len(classes)
        network = network_of(name, config["network_options"], count) if module is None else module
        if config["weights"]:
            load_weights(network, Path(config["weights"]))
        elif module is None:
            log.info("weights=… is not given: the network is explained with those that %s gives it.", name_of(name))
        config = {**config, **said_by(network, config)}
        classes, rate = config["classes"], config["sample_rate"]
    seconds = seconds_of(config, front_end, rate)
    inner = config["front_end"]
    if inner in choices_of("model/front_end"):
        front_end, inner = our_front_end(inner, rate, seconds), None
    how: dict[str, Any] = {
        "front_end": front_end, "inner": inner, "classes": classes, "sample_rate": rate, "output": config["output"],
        "samples": round(seconds * rate), "channels": config.get("channels") or 1, "kind": config.get("kind"),
        "stretch": part_of(config.get("stretch"), seconds),
    }  # fmt: skip
    model = of_frames(network, config["frames"], how) if config.get("frames") else model_around(network, **how)
    clip = {"sample_rate": rate, "seconds": seconds, "channels": model.channels, **UNPREPARED}
    head = str(getattr(model.network, "head", ""))
    if str(config.get("target")).startswith(LIKENESS):
        model = likeness(model, str(config["target"]).removeprefix(LIKENESS), ClipSettings(**clip))
    task = {"name": config["label"], "label": config["label"], "kind": model.kind}
    about = {
        "model": {"name": name_of(name), "head": head},
        "task": task,
        "data": {"name": None, "clip": clip},
        "fold": None,
    }
    return Opened(model, {"config": about, "classes": model.classes, "speakers": {"train": [], "test": []}})


def said_by(network: nn.Module, config: dict[str, Any]) -> dict[str, Any]:
    """What a network says of itself, by attributes, where the options do not: `sample_rate`, `classes` and `frames`.

    Raises:
        Mistake: neither says the rate, or an attribute has an impossible value.
    """
    from_target = config.get("classes") == [str(config.get("target")).removeprefix(NUMBER)]  # its only name so far
    said = {
        option: getattr(network, option)
        for option in ("sample_rate", "classes", "frames")
        if (config.get(option) is None or (option == "classes" and from_target))
        and isinstance(getattr(network, option, None), int | list | tuple)
    }
    said = {option: value if isinstance(value, int) else list(value) for option, value in said.items()}
    if {**config, **said}["sample_rate"] is None:
        raise Mistake("sample_rate has no value; say sample_rate=16000 if the network takes waveforms of 16 kHz.")
    if "classes" in said and not isinstance(said["classes"], list):
        del said["classes"]  # their number
    check_described({**config, **said})
    return said


def of_frames(network: nn.Module, frames: list[int], how: dict[str, Any]) -> Model:
    """The model of a network that takes frames, (B, window) or (B, 1, window).

    Raises:
        Mistake: see `model_around`.
    """
    output = how.pop("output")
    try:
        return model_around(Frames(network, frames[0], frames[1], output), **how)
    except Mistake:
        return model_around(Frames(network, frames[0], frames[1], output, flat=False), **how)


def likeness(model: Model, path: str, settings: ClipSettings) -> Model:
    """A model of one number: how alike a model's outputs are to those for a recording, from -1 to 1.

    Raises:
        Mistake: the recording cannot be used.
    """
    try:
        samples, rate = read_whole(Path(path))
        prepared = prepare(samples, rate, settings).waveform
    except BadRecording as reason:
        raise Mistake(f"{LIKENESS}{path} cannot be listened to ({reason}); choose another recording.") from reason
    length = settings.seconds
    if abs(len(samples) / rate - length) > CLOSE:
        log.warning(
            "%s%s lasts %.3g s: %s, as the clips are of %.3g s; say seconds=… for others.", LIKENESS, path,
            len(samples) / rate, "its loudest part is taken" if len(samples) / rate > length else "silence follows it",
            length,
        )  # fmt: skip
    waveform = torch.zeros(1, settings.channels, round(settings.seconds * settings.sample_rate))
    waveform[0, :, : prepared.shape[1]] = torch.from_numpy(prepared)
    with torch.no_grad():
        reference = model(waveform.to(model.device))
    if reference.shape[1] < 2:
        raise Mistake(
            f"{LIKENESS}…: the network gives one number for a clip, and likeness needs several; see output=…."
        )
    names = [f"likeness to {Path(path).name}"]
    return model.having(Likeness(model.network, reference), classes=names, kind="number").eval()


def part_of(stretch: list[float] | None, seconds: float) -> tuple[float, float] | None:
    """A stretch in seconds as shares of a clip.

    Raises:
        Mistake: it begins behind the clip's end.
    """
    if stretch is None:
        return None
    if stretch[0] >= seconds:
        raise Mistake(f"stretch={stretch} begins behind the end of the clips of {seconds:g} s; choose an earlier one.")
    return stretch[0] / seconds, min(stretch[1] / seconds, 1.0)


def name_of(network: str) -> str:
    """The name of a network for people: that of its class, or its own on the hub."""
    return network.removeprefix(HUB).rstrip("/").rpartition("/")[2].rpartition(":")[2]


def seconds_of(config: dict[str, Any], front_end: nn.Module | None, rate: int) -> float:
    """The length of the clips in seconds: as the options say, or that of the longest recording, up to 10 s.

    Raises:
        Mistake: clips are longer than the front end sees.
    """
    most = getattr(front_end, "seconds", None)
    if config["seconds"] is not None:
        if most is not None and config["seconds"] > most:
            raise Mistake(f"seconds={config['seconds']:g}: the network sees {most:g} s at most; choose fewer.")
        return float(config["seconds"])
    length = longest(Path(config["input"]), LONGEST) if config.get("input") else LONGEST
    whole = math.ceil(length * rate) / rate  # a resampler rounds up, too
    return min(whole, LONGEST, most or LONGEST)


def our_front_end(name: str, sample_rate: int, seconds: float) -> nn.Module:
    """A choice of `conf/model/front_end`, for waveforms of this rate and length."""
    values = {"${data.clip.sample_rate}": sample_rate, "${data.clip.seconds}": seconds}
    node = {option: values.get(value, value) for option, value in content_of(f"model/front_end/{name}").items()}
    front_end: nn.Module = build_part("model.front_end", node)
    return front_end
