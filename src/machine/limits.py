"""Bounds on what a file may cost whoever opens it."""

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

STATM = Path("/proc/self/statm")  # Linux only, as is a bound on memory that the system keeps
DEAF_SECONDS = 1.0  # that Python may take to hear of the time, before the program is taken to be in a library
_ONE_BOUND = threading.RLock()  # of the process: of two at once, the first to end would leave the other's behind


class TooMuch(Exception):
    """It takes longer than it may."""


@contextmanager
def seconds_at_most(seconds: float, what: str) -> Iterator[None]:
    """Raises TooMuch within if it takes longer, or ends the program with a sentence where that is not heard.

    Python hears of the time between two of its own instructions, and in a regular expression, but not while a library
    computes. Bounds nothing outside the main thread, which alone hears of it.

    Args:
        what: takes the time, for the sentence.
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
    finally:  # also where the time ends just as the bound does
        end.cancel()
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bytes_at_most(count: int) -> Iterator[None]:
    """Lets what asks for more memory than so much, beyond what the process has, fail with an error of its own."""
    if resource is None or not STATM.exists():
        yield
        return
    import torch  # only now: it takes seconds, and a regular expression is bounded without it

    with _ONE_BOUND:
        has = int(STATM.read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = has + count
        if soft != resource.RLIM_INFINITY:
            most = min(most, soft)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as every new one takes some 100 MB of addresses, and machines have a hundred cores
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            torch.set_num_threads(threads)


def _end(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
    os._exit(1)
