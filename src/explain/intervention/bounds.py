"""What interventions are told: factors that multiply frequencies, one for each class, and bands. Imports no PyTorch."""

import math
from collections.abc import Mapping
from typing import Any

from auscult.mistake import Mistake
from auscult.program.numbers import is_number

PAPERS = ("male", "female")  # classes whose factors conf/ has

NEEDS_SPECTROGRAM = (
    "intervention=scale_spectrogram needs a network that is given spectrograms, such as AlexNet; choose"
    " intervention=scale_waveform with a factor for each class, or keep_band or remove_band; they suit any network."
)
FACTORS = (0.1, 10.0)  # smallest and largest


def checked_factors(factors: Mapping[Any, float]) -> dict[str, float]:
    """Checks `intervention.factors` and returns the factors by class name.

    Raises:
        Mistake: they have no names, or one is no number from 0.1 to 10.
    """
    if not isinstance(factors, Mapping):
        raise Mistake(f"intervention.factors={factors} does not name a factor for each class, as in {{male: 1.5}}.")
    for name, factor in factors.items():
        if not is_number(factor) or not FACTORS[0] <= factor <= FACTORS[1]:
            raise Mistake(
                f"intervention.factors.{name}={factor} is not a number from {FACTORS[0]:g} to {FACTORS[1]:g}."
            )
    return {str(name): float(factor) for name, factor in factors.items()}


def check_band(low_hz: Any, high_hz: Any, edge_hz: Any) -> None:
    """Raises a Mistake unless both ends of a band are null or frequencies, in order, and its edges have a width."""
    for name, value in (("low_hz", low_hz), ("high_hz", high_hz)):
        if value is not None and not (is_number(value) and 0 < value < math.inf):
            raise Mistake(f"intervention.{name}={value} is neither null nor a frequency above 0 Hz.")
    if not is_number(edge_hz) or not 0 < edge_hz < math.inf:
        raise Mistake(f"intervention.edge_hz={edge_hz} is not a width above 0 Hz.")
    if low_hz is None and high_hz is None:
        raise Mistake("intervention.low_hz and intervention.high_hz are both null, so there is no band; set one.")
    if low_hz is not None and high_hz is not None and low_hz >= high_hz:
        raise Mistake(f"intervention.low_hz={low_hz} is not below intervention.high_hz={high_hz}.")
    if high_hz is not None and high_hz - (low_hz or 0) < edge_hz / 2:
        raise Mistake(
            f"the band from {low_hz or 0:g} to {high_hz:g} Hz is narrower than half of its edges; say"
            f" intervention.low_hz and intervention.high_hz in hertz, or lower intervention.edge_hz={edge_hz}."
        )


def powers(factors: Mapping[str, float], exponent: int) -> dict[str, float]:
    """The factors raised to an exponent, by class name: -1 inverts the change, 0 changes nothing."""
    return {name: factor**exponent for name, factor in factors.items()}


def for_classes(factors: Mapping[str, float], classes: list[str]) -> list[float]:
    """The factor of each class, in the order of the classes. Those of the paper's classes may stay beside them.

    Raises:
        Mistake: a class has no factor, or a factor has no class.
    """
    if missing := [name for name in classes if name not in factors]:
        raise Mistake(
            f"intervention.factors has no factor for the classes {', '.join(missing)} of this checkpoint;"
            f" give each its own by +intervention.factors.{missing[0]}=1.5 and so on (1 changes nothing), or choose"
            " intervention=keep_band or remove_band."
        )
    if unknown := [name for name in factors if name not in classes and name not in PAPERS]:
        raise Mistake(
            f"intervention.factors.{unknown[0]} is no class of this checkpoint; its classes are {', '.join(classes)}."
        )
    return [factors[name] for name in classes]
