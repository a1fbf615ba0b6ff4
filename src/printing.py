"""Tables for people at a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def printing() -> Iterator[None]:
    """Lets nothing end because nobody reads it any more, as behind `| head -1`: what is printed is on the disk, too."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as stop:  # rich makes an exit of it
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, BrokenPipeError):
            raise
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
