"""The factors by which frequencies are multiplied, one for each class."""

from collections.abc import Mapping
from typing import Any

from auscult.mistake import Mistake
from auscult.program.numbers import is_number

FACTORS = (0.1, 10.0)  # least and largest


def checked_factors(factors: Mapping[Any, float]) -> dict[str, float]:
    """`intervention.factors` by class name.

    Raises:
        Mistake: they are not named, or one is no number from 0.1 to 10.
    """
    if not isinstance(factors, Mapping):
        raise Mistake(f"intervention.factors={factors} does not name a factor for each class, as in {{male: 1.5}}.")
    for name, factor in factors.items():
        if not is_number(factor) or not FACTORS[0] <= factor <= FACTORS[1]:
            raise Mistake(
                f"intervention.factors.{name}={factor} is not a number from {FACTORS[0]:g} to {FACTORS[1]:g}."
            )
    return {str(name): float(factor) for name, factor in factors.items()}


def powers(factors: Mapping[str, float], exponent: int) -> dict[str, float]:
    """Factors by class name: -1 turns them round, 0 leaves all clips as they are."""
    return {name: factor**exponent for name, factor in factors.items()}


def for_classes(factors: Mapping[str, float], classes: list[str]) -> list[float]:
    """The factor of each class, in the classes' order.

    Raises:
        Mistake: there is none for a class.
    """
    if missing := [name for name in classes if name not in factors]:
        raise Mistake(
            f"intervention.factors has no factor for the classes {', '.join(missing)} of this checkpoint;"
            f" give each its own by +intervention.factors.{missing[0]}=1.5 and so on (1 changes nothing), or choose"
            " intervention=keep_band or remove_band."
        )
    return [factors[name] for name in classes]
