"""Long work shows itself: as a bar with the time that is left, or, where there is no terminal, as a line a minute."""

import logging
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.progress import track

log = logging.getLogger(__name__)

SECONDS = 60.0  # between two lines
Each = TypeVar("Each")


class Pace:
    """Says once a minute how far some work is.

    Args:
        words: what is done, such as "drawing clips".
        total: how many steps there are.
    """

    def __init__(self, words: str, total: float) -> None:
        self.words, self.total = words, total
        self.started = self.said = monotonic()

    def reach(self, done: int) -> None:
        """Notes that so many steps are done."""
        now = monotonic()
        if now - self.said < SECONDS or not 0 < done < self.total:
            return
        self.said = now
        left = (now - self.started) / done * (self.total - done)
        log.info("%s: %d of %d, about %s left", self.words, done, self.total, duration(left))


def duration(seconds: float) -> str:
    """Seconds in words, as exact as an estimate is: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 60:
        return f"{10 * max(1, round(seconds / 10))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def tracked(items: Iterable[Each], words: str, total: int) -> Iterator[Each]:
    """Yields items, and shows how far the work on them is."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(items, words, total, console=console, transient=True)
        return
    pace = Pace(words, total)
    for done, item in enumerate(items):
        pace.reach(done)
        yield item
