"""Tables for people at a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def printing() -> Iterator[None]:
    """Lets the program go on if nobody reads its output, as behind `| head -1`: the results are on the disk."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as stop:  # rich turns the first into the second
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, BrokenPipeError):
            raise
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
