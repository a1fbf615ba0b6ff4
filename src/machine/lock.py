"""Keeps two processes out of one folder; a lock dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from auscult.mistake import Occupied

LOCK = ".running"

_held: list[BaseFileLock] = []


def lock(folder: Path, option: str) -> None:
    """Keeps other runs and multiruns out of the folder until `release`, or until this process ends.

    Args:
        option: the option that can name another folder, for the message.

    Raises:
        Occupied: another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _held.append(_acquired(folder, "at work in", option))


def release() -> None:
    """Lets others into the folders that `lock` claimed."""
    while _held:
        _let_go(_held.pop())


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Keeps other processes out of the folder within. This process may have claimed it before.

    Args:
        doing: what is done there, such as "training in".

    Raises:
        Occupied: another process is in it.
    """
    own = _acquired(folder, doing, "hydra.run.dir")
    try:
        yield
    finally:
        _let_go(own)


def _acquired(folder: Path, doing: str, option: str) -> BaseFileLock:
    own = FileLock(folder.resolve() / LOCK, is_singleton=True)  # one lock, which counts how often this process takes it
    try:
        own.acquire(timeout=0)
    except Timeout:
        raise Occupied(
            f"another process is {doing} {folder}; wait for it, or name another folder with {option}."
        ) from None
    return own


def _let_go(own: BaseFileLock) -> None:
    if own.lock_counter == 1:
        Path(own.lock_file).unlink(missing_ok=True)  # while it is held: nobody else has it
    own.release()
