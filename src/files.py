"""Files that are there whole or not at all, whatever happens to the program or the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write to instead of `path`; it takes that one's place when the disk has it all, and is gone otherwise.

    Raises:
        OSError: the disk has not taken it all.
    """
    unfinished = path.with_suffix(UNFINISHED)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())  # some file systems say only now that they are full
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
