"""Keeps decoders from writing to the terminal: libmpg123 prints a line or more for every damaged frame."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2  # the descriptor that libraries write to; `command_line.start` gives Python's `sys.stderr` another one

_lock = threading.Lock()
_inside = 0
_kept = -1


@contextmanager
def quiet() -> Iterator[None]:
    """Drops what C libraries print meanwhile, in any thread."""
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _redirected()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept >= 0:
                os.dup2(_kept, STDERR)
                os.close(_kept)


def _redirected() -> int:
    """Redirects `STDERR` to nowhere and returns a copy of it; -1 if it is closed or no descriptors are left."""
    try:
        kept = os.dup(STDERR)
    except OSError:
        return -1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        os.close(kept)
        return -1
    os.dup2(nowhere, STDERR)
    os.close(nowhere)
    return kept
