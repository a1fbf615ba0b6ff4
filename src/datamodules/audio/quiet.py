"""Lets no decoder write to the terminal: libmpg123 has a line or more for every damaged frame."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2  # the descriptor that libraries write to; Python's own `sys.stderr` is given another by `command_line.start`

_lock = threading.Lock()
_inside = 0
_kept = -1


@contextmanager
def quiet() -> Iterator[None]:
    """What C libraries say meanwhile is dropped, in whatever thread."""
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
    """A descriptor of where `STDERR` led before; -1 where there is none, or no more descriptors."""
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
