"""Checks options that are numbers."""

from math import inf
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import typed
from auscult.program.complaint import HELP

# option, type, lowest, highest, whether null is a value of it
NUMBERS: list[tuple[str, type, float, float, bool]] = [
    ("fold", int, 0, 10**6, False),
    ("seed", int, 0, 2**32 - 1, False),
    ("data.batch_size", int, 1, 10**6, False),
    ("data.epochs", int, 1, 10**9, False),
    ("data.clip.sample_rate", int, 100, 10**6, False),
    ("data.clip.seconds", float, 1e-3, 3600, False),
    ("data.clip.highpass_hz", float, 0, 10**6, True),
    ("data.clip.trim_db", float, 0, 1000, True),
    ("data.clip.min_seconds", float, 0, 3600, False),
    ("data.clip.channels", int, 1, 64, False),
    ("augmentation.gain_db", float, 0, 100, False),
    ("augmentation.speed", float, 0, 0.5, False),
    ("augmentation.shift", float, 0, 1, False),
    ("augmentation.time_mask", float, 0, 1, False),
    ("augmentation.band_mask", float, 0, 1, False),
    ("augmentation.mixup", float, 0, 100, False),
    ("label_smoothing", float, 0, 1, False),
    ("task.folds", int, 3, 10**6, False),
    ("optimizer.lr", float, 0, 1e3, False),
    ("optimizer.weight_decay", float, 0, 1e3, False),
    ("optimizer.momentum", float, 0, 1, False),
    ("optimizer.schedule.pct_start", float, 0, 1, False),
    ("model.network.dropout", float, 0, 1, False),
]
SECONDS = {"smoothing": 0.005, "seconds": 1}  # options in seconds, and a usual value


def check_number(config: dict[str, Any], option: str, kind: type, low: float, high: float, nullable: bool) -> None:
    """Raises a Mistake unless the option is absent, or a number of its kind within its range."""
    value: Any = config
    for name in option.split("."):
        if not isinstance(value, dict):
            raise Mistake(f"{option.rsplit('.', 1)[0]}={value} is not a group of options; {HELP}.")
        if name not in value:
            return
        value = value[name]
    if value is None and nullable:
        return
    if not is_number(value) or (kind is int and not isinstance(value, int)) or not low <= value <= high:
        number = "a whole number" if kind is int else "a number"
        bounds = f"from {low:g} to {high:g}" if high < 1e5 else f"of {low:g} or more"
        unit = f" (seconds, such as {SECONDS[last]:g})" if (last := option.rpartition(".")[2]) in SECONDS else ""
        raise Mistake(f"{option}={typed(value)} is not {number} {bounds}{unit}{' or null' if nullable else ''}.")


def fit(option: str, values: list[str]) -> bool:
    """Whether each of these words could be a value of an option of a training, as far as `NUMBERS` says."""
    _, _, low, high, nullable = next((row for row in NUMBERS if row[0] == option), ("", float, -inf, inf, True))
    others = ("null", "true", "false") if nullable else ()
    try:
        return all(low <= float(value) <= high for value in values if value not in others)
    except ValueError:
        return False


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
