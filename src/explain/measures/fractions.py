"""The fractions of a clip that are removed. This file imports nothing heavy, as it checks options."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from auscult.mistake import Mistake
from auscult.program.numbers import is_number

DEFINITIONS = ("sounding", "paper")  # definitions of a fraction, see `perturbation.py`


def check_definition(option: str, definition: Any) -> None:
    """Raises a Mistake if an option names an unknown definition of fractions."""
    if definition not in DEFINITIONS:
        raise Mistake(f"{option}={definition} is unknown; choose {' or '.join(DEFINITIONS)}.")


def checked_fractions(fractions: Any, option: str = "perturbation.fractions") -> list[float]:
    """Checks the fractions of an option and returns them.

    Raises:
        Mistake: they are no list of numbers from 0 to 1, each larger than the one before.
    """
    listed = isinstance(fractions, Iterable) and not isinstance(fractions, str | Mapping)
    values = list(fractions) if listed else []
    if not values or not all(is_number(value) and 0 <= value <= 1 for value in values):
        raise Mistake(f"{option}={fractions} is not a list of numbers from 0 to 1; 0.01 is one part in a hundred.")
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise Mistake(f"{option}={fractions} does not ascend; sort it and name each fraction once.")
    return [float(value) for value in values]
