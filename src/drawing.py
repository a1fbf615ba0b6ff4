"""How names that people gave are drawn, and what becomes of a picture that cannot be drawn.

Whoever draws imports this: a class may be called `$\\frac$`, which matplotlib would otherwise take for mathematics.
"""

import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import matplotlib
from anyascii import anyascii
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

log = logging.getLogger(__name__)

MOST_CHARACTERS = 100  # of a title as wide as a figure

matplotlib.rcParams["text.parse_math"] = False


def literal(text: str, most: int = MOST_CHARACTERS) -> str:
    """One line of characters that can be drawn.

    What is no character of a line appears as its Python escape. A letter that no installed font has is spelled in Latin
    letters, 数字 as ShuZi.
    """
    shown = "".join(drawable(c) if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@cache
def drawable(character: str) -> str:
    """The character, where an installed font has it, which figures then use; or else how Latin letters spell it."""
    families = matplotlib.rcParams["font.family"]
    used = [font_manager.findfont(font_manager.FontProperties(family=[family])) for family in families]
    if any(ord(character) in letters_of(font) for font in used):
        return character
    fonts = [font for font in font_manager.fontManager.ttflist if "last resort" not in font.name.lower()]
    for font in sorted(fonts, key=lambda font: (font.style != "normal", "sans" not in font.name.lower(), font.name)):
        if ord(character) in letters_of(font.fname):
            matplotlib.rcParams["font.family"] = [*families, font.name]  # for what those before it lack
            return character
    if unicodedata.category(character).startswith("L"):
        _say_that_fonts_lack(unicodedata.name(character, "some").partition(" ")[0])
    return anyascii(character)


@cache
def letters_of(font: str) -> frozenset[int]:
    """The code points that a font file has; none, where it cannot be read."""
    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _say_that_fonts_lack(script: str) -> None:
    """Says so once for each script, which is the first word of its letters' names."""
    log.warning(
        "No font on this machine has %s letters: figures spell them in Latin ones. With a font that has them (on"
        " Debian, install fonts-noto) they appear as they are.", script,
    )  # fmt: skip


@contextmanager
def drawing(picture: str) -> Iterator[None]:
    """Makes a warning of a picture that cannot be drawn: the results beside it are worth more."""
    try:
        yield
    except Exception as error:  # whatever drawing, encoding or writing a picture may raise
        log.warning("%s cannot be drawn (%s: %s).", picture, type(error).__name__, " ".join(str(error).split()))
