"""What the options of attributions may be. Imports no PyTorch: a wrong one is to be named at once."""

from collections.abc import Sequence
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.numbers import check_number, is_number

# type, lowest, highest, whether null is allowed; an option means the same in every attribution that has it
BOUNDS: dict[str, tuple[type, float, float, bool]] = {
    "baseline": (float, -1e9, 1e9, True),
    "cells": (int, 1, 1e9, False),
    "epsilon": (float, 1e-12, 1000, False),
    "high": (float, -1e9, 1e9, True),
    "keep": (float, 0, 1, False),
    "low": (float, -1e9, 1e9, True),
    "masks": (int, 1, 1e9, False),
    "noise": (float, 0, 1, False),
    "samples": (int, 1, 1e9, False),
    "seed": (int, 0, 1e9, False),
    "steps": (int, 1, 1e9, False),
    "stride": (float, 1e-6, 1e9, False),
    "window": (float, 1e-6, 1e9, False),
}
# of LRP; name: rule of the first layer, if it has its own; rule of convolutions; the weights of attention: constants
# (given), or by Taylor's first order. Dense and recurrent layers have the epsilon rule.
COMPOSITES: dict[str, tuple[str | None, str, str]] = {
    "epsilon": (None, "epsilon", "given"),
    "epsilon_plus": (None, "plus", "given"),
    "epsilon_plus_flat": ("flat", "plus", "given"),
    "alpha2_beta1": (None, "alpha2_beta1", "given"),
    "alpha2_beta1_flat": ("flat", "alpha2_beta1", "given"),
    "box": ("box", "plus", "given"),
    "attnlrp": (None, "plus", "taylor"),
    "cp_lrp": (None, "plus", "given"),
}

FREQUENCIES_ONLY = (
    "attribution=freqrise masks frequencies: add domain=frequency or domain=time_frequency, or choose attribution=rise."
)


def check_option(option: str, value: Any, several: bool = False) -> None:
    """Checks the number that an option of an attribution has.

    Args:
        option: its name, one of `BOUNDS`.
        value: what it has.
        several: whether it may have a list, a number for each dimension of the input.

    Raises:
        Mistake: it is no number, or one that is out of range.
    """
    is_list = several and isinstance(value, Sequence) and not isinstance(value, str)
    for each in value if is_list else [value]:
        check_number({"attribution": {option: each}}, f"attribution.{option}", *BOUNDS[option])


def check_stride(stride: Any, window: Any) -> None:
    """Raises a Mistake if two numbers of one unit, shares or values, leave gaps between windows of occlusion."""
    if is_number(stride) and is_number(window) and (stride < 1) == (window < 1) and stride > window:
        raise gaps(stride, window)


def gaps(stride: Any, window: Any) -> Mistake:
    """The mistake of windows that leave gaps."""
    return Mistake(f"attribution.stride={stride} leaves gaps between windows of {window}; lower it.")


def check_composite(name: Any) -> None:
    """Raises a Mistake if LRP has no composite of this name."""
    if not isinstance(name, str) or name not in COMPOSITES:
        raise Mistake(f"attribution.composite={shown(name)} is unknown; choose one of {', '.join(COMPOSITES)}.")
