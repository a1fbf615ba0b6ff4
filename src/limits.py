"""Bounds on what a file may cost whoever opens it."""

import signal
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


class TooMuch(Exception):
    """It takes longer than it may."""


@contextmanager
def seconds_at_most(seconds: float) -> Iterator[None]:
    """Raises TooMuch within if it takes longer; where Python itself is at work, which regular expressions are.

    Bounds nothing outside the main thread, which alone hears of time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TooMuch(f"it takes longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bytes_at_most(count: int) -> Iterator[None]:
    """Lets what asks for more memory than so much, beyond what the process has, fail with an error of its own."""
    if resource is None or not STATM.exists():
        yield
        return
    has = int(STATM.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = has + count
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
