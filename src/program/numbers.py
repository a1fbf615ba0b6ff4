"""Checks options that are numbers."""

from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import typed
from auscult.program.complaint import HELP

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


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
