"""Looks at the checkpoints that options name, and at what the options ask of them, before PyTorch is imported."""

import re
from typing import Any

from auscult.checkpoint.look import card_of, check_places_of
from auscult.explain.intervention.bounds import NEEDS_SPECTROGRAM, for_classes
from auscult.explain.relevance.target import check_target
from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.conf import selected
from auscult.program.config import check_homes
from auscult.program.paths import PLACES


def look_at_checkpoints(config: dict[str, Any]) -> None:
    """Looks at the checkpoints that a checked configuration names, before PyTorch is imported to open them.

    Raises:
        Mistake: one of them cannot be read or is none of `train.py`, or the target or an intervention's factors do not
            suit the classes of the first.
    """
    for option in ("checkpoint", "checkpoint_2", "control"):
        if config.get(option) in (None, ""):
            continue
        card = card_of(config[option], option)
        trained = card.get("config")
        if isinstance(trained, dict):
            check_homes(trained, config["allow"])
        reads_corpus = option == "checkpoint" and not config.get("input") and config.get("page") != "live"
        if reads_corpus and isinstance(corpus := selected(trained, "data"), dict):
            check_places_of(corpus, [name for name in PLACES if selected(config, f"data.{name}")])
        if option == "checkpoint" and is_names(card["classes"]):
            check_classes(config, card["classes"], str(selected(trained, "task.kind") or "classes"))
        if option == "checkpoint" and isinstance(trained, dict):
            check_fit(config, trained)


def check_classes(config: dict[str, Any], classes: list[str], kind: str) -> None:
    """Raises a Mistake if the checkpoint's classes are not those of the target or of an intervention's factors."""
    if "target" in config:
        check_target(config["target"], classes, config.get("against"), kind)
    intervention = config.get("intervention") or {}
    if str(intervention.get("_target_")).startswith("auscult.") and "factors" in intervention:
        for_classes(intervention["factors"], classes)


def check_fit(config: dict[str, Any], trained: dict[str, Any]) -> None:
    """Compares options with what the checkpoint was trained on.

    Raises:
        Mistake: an intervention or a window does not suit its clips, or data.pattern has no group for its label.
    """
    intervention, front_end = (
        str(selected(node, f"{part}._target_"))
        for node, part in ((config, "intervention"), (trained, "model.front_end"))
    )
    if intervention.endswith(".ScaleSpectrogram") and front_end.endswith(".NormalizedWaveform"):
        raise Mistake(NEEDS_SPECTROGRAM)
    window, seconds = selected(config, "domain.window_seconds"), selected(trained, "data.clip.seconds")
    if isinstance(window, int | float) and isinstance(seconds, int | float) and window > seconds:
        raise Mistake(
            f"domain.window_seconds={window:g} is longer than the checkpoint's clips of {seconds:g} s; choose a window"
            " in seconds, such as 0.057."
        )
    label, pattern = selected(trained, "task.label"), selected(config, "data.pattern")
    if config.get("input") and isinstance(pattern, str) and selected(config, "data.speakers") is None:
        groups = re.findall(r"\(\?P<(\w+)>", pattern)
        if groups and isinstance(label, str) and not {label, "gender" if label == "sex" else label} & set(groups):
            raise Mistake(
                f"data.pattern has no group for the '{shown(label)}', which the checkpoint tells apart; give it a group"
                " of that name."
            )


def is_names(value: Any) -> bool:
    """Whether a value out of a file is a list of names. One that is not is named when the checkpoint is opened."""
    return isinstance(value, list) and len(value) < 1000 and all(isinstance(name, str) for name in value)
