"""Draws the names that users chose, and warns of a picture that cannot be drawn.

Each module that draws imports this one: a class may be called `$\\frac$`, which matplotlib would read as mathematics.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib
from anyascii import anyascii
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

log = logging.getLogger(__name__)
logging.getLogger("matplotlib.font_manager").setLevel(logging.WARNING)  # it reports its search for fonts

UNITS, PAIRS = re.compile(r"(?<=\d) (?=(?:Hz|s)\b|%)"), re.compile(r"\[(\S+), (\S+)\]")
MOST_CHARACTERS = 100  # of a title as wide as a figure

matplotlib.rcParams["text.parse_math"] = False
matplotlib.rcParams["svg.hashsalt"] = "auscult"  # the same figure gives the same file


def literal(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text as one line that can be drawn.

    A character that cannot be printed, such as a line break, appears as its Python escape. Letters that no installed
    font has are spelled in Latin letters: 数字 as ShuZi.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if not all(map(is_drawable, shown)):  # a word is spelled in one script, not in two
        shown = "".join(c if ord(c) in letters_of(_first_font()) else anyascii(c) for c in shown)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@cache
def is_drawable(character: str) -> bool:
    """Whether an installed font has the character. Figures use that font from now on."""
    families = matplotlib.rcParams["font.family"]
    used = [font_manager.findfont(font_manager.FontProperties(family=[family])) for family in families]
    if any(ord(character) in letters_of(font) for font in used):
        return True
    fonts = [font for font in font_manager.fontManager.ttflist if "last resort" not in font.name.lower()]
    for font in sorted(fonts, key=lambda font: (font.style != "normal", "sans" not in font.name.lower(), font.name)):
        if ord(character) in letters_of(font.fname):
            matplotlib.rcParams["font.family"] = [*families, font.name]  # for letters that the fonts before it lack
            return True
    if unicodedata.category(character).startswith("L"):
        _say_that_fonts_lack()
    return False


def _first_font() -> str:
    return str(font_manager.findfont(font_manager.FontProperties(family=[matplotlib.rcParams["font.family"][0]])))


@cache
def letters_of(font: str) -> frozenset[int]:
    """The code points that a font file has; none if it cannot be read."""
    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _say_that_fonts_lack() -> None:
    """Warns, once in a run, that letters are missing."""
    log.warning(
        "Some names have letters that no font on this machine has, so figures spell them in Latin letters; install"
        " fonts that have them (on Debian: fonts-noto) to see them as they are."
    )


def save(figure: Figure, file: Any, **options: Any) -> None:
    """Writes a figure. Each text gets all fonts of now, as some texts were made before a font was added."""
    for text in figure.findobj(Text):
        text.set_fontfamily(matplotlib.rcParams["font.family"])
    figure.savefig(file, **options)


@contextmanager
def drawing(picture: str) -> Iterator[None]:
    """Turns an error in drawing a picture into a warning: the results beside it are worth more."""
    try:
        yield
    except Exception as error:  # whatever drawing, encoding or writing a picture may raise
        log.warning("%s cannot be drawn (%s: %s).", picture, type(error).__name__, " ".join(str(error).split()))


def unbroken(sentence: str) -> str:
    """A sentence in which no line of a page ends between a number and its unit, or within an interval."""
    return UNITS.sub("\N{NO-BREAK SPACE}", PAIRS.sub("[\\1,\N{NO-BREAK SPACE}\\2]", sentence))
