"""Bounds on the time and the memory that a file may take when it is opened."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # as on Windows
    resource = None  # type: ignore[assignment]

STATM = Path("/proc/self/statm")  # only on Linux, which alone enforces a bound on memory
DEAF_SECONDS = 1.0  # more for Python to notice the end; after them the program must be inside a library
_ONE_BOUND = threading.RLock()  # one at a time: of two bounds, the first to end would leave that of the other behind


class TooMuch(Exception):
    """Something takes longer than it may."""


@contextmanager
def seconds_at_most(seconds: float, what: str) -> Iterator[None]:
    """Raises TooMuch within if it takes longer. If Python does not notice the end, ends the program with a sentence.

    Python notices it between two of its own instructions, and in a regular expression, but not while a library
    computes. Only the main thread notices it, so nothing is bounded in other threads.

    Args:
        what: names what takes the time, for the sentence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TooMuch(f"it takes longer than {seconds:g} seconds")

    end = threading.Timer(
        seconds + DEAF_SECONDS, _end, [f"{what} takes longer than {seconds:.0f} seconds; use another."]
    )
    end.daemon = True
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    end.start()
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # also if the time is over at this moment
        end.cancel()
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bytes_at_most(count: int) -> Iterator[None]:
    """Makes what is within fail if it asks for more memory than `count` bytes beyond what the process has."""
    if resource is None or not STATM.exists():
        yield
        return
    import torch  # only now: it takes seconds, and a bound on time does not need it

    with _ONE_BOUND:
        has = int(STATM.read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = has + count
        if soft != resource.RLIM_INFINITY:
            most = min(most, soft)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # each new one takes about 100 MB of addresses, and a machine may have 100 cores
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            torch.set_num_threads(threads)


def _end(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
    os._exit(1)
