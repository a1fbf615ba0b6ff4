"""How names that people gave are drawn, and what becomes of a picture that cannot be drawn.

Whoever draws imports this: a class may be called `$\\frac$`, which matplotlib would otherwise take for mathematics.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib

log = logging.getLogger(__name__)

MOST_CHARACTERS = 100  # of a title as wide as a figure

matplotlib.rcParams["text.parse_math"] = False


def literal(text: str, most: int = MOST_CHARACTERS) -> str:
    """One line of characters that can be drawn; others appear as their Python escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@contextmanager
def drawing(picture: str) -> Iterator[None]:
    """Makes a warning of a picture that cannot be drawn: the results beside it are worth more."""
    try:
        yield
    except Exception as error:  # whatever drawing, encoding or writing a picture may raise
        log.warning("%s cannot be drawn (%s: %s).", picture, type(error).__name__, " ".join(str(error).split()))
