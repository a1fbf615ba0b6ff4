"""Options of a training that have to go with each other: the kind of its task, and the parts of its network."""

import math
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.conf import selected
from auscult.program.numbers import check_number, is_number

# what may choose the best checkpoint, see `auscult.modules.answers`
BEST_BY = {
    "classes": ("accuracy", "balanced_accuracy", "f1", "loss"),
    "tags": ("map", "f1", "auc", "loss"),
    "number": ("mae", "correlation", "loss"),
}


def check_kind(config: dict[str, Any]) -> None:
    """Raises a Mistake if an option does not go with what the task asks for: classes, tags or a number."""
    task = config["task"]
    kind = task.get("kind", "classes")
    best = config.get("best_by")
    if best is not None and best not in BEST_BY[kind]:
        raise Mistake(f"best_by={shown(best)} does not go with task.kind={kind}; choose {', '.join(BEST_BY[kind])}.")
    if kind == "number" and config.get("class_weights"):
        raise Mistake("class_weights=balanced goes with classes or tags, and task.kind=number has none; leave it out.")
    if kind != "classes" and task["balance"]:
        raise Mistake(f"task.balance=true goes with classes, not with task.kind={kind}; leave it out.")
    for option in ("low", "high"):
        check_number(config, f"task.{option}", float, -math.inf, math.inf, True)
    if None not in (low := task.get("low"), high := task.get("high")) and low > high:
        raise Mistake(f"task.low={low:g} is above task.high={high:g}; exchange them.")


def check_parts(config: dict[str, Any]) -> None:
    """Raises a Mistake unless the parts of the network that have a say of their own, if any, are named as such."""
    frozen, factors = selected(config, "model.freeze"), selected(config, "optimizer.parts")
    if frozen is not None and not (isinstance(frozen, list) and all(isinstance(name, str) for name in frozen)):
        raise Mistake(f"model.freeze={shown(frozen)} is no list of the network's parts; say model.freeze=[encoder].")
    if factors is not None and not (
        isinstance(factors, dict)
        and all(isinstance(name, str) and is_number(factor) and factor > 0 for name, factor in factors.items())
    ):
        raise Mistake(
            f"optimizer.parts={shown(factors)} gives no factors above 0; say 'optimizer.parts={{encoder: 0.1}}', and"
            " model.freeze=[…] for parts that are not to learn."
        )
    if not isinstance(selected(config, "model.weights"), str | None):
        raise Mistake(f"model.weights={shown(config['model']['weights'])} is no path.")
