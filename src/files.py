"""Files that are there whole or not at all, whatever happens to the program or the disk."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def full_disk(error: BaseException | None) -> tuple[int, str | None] | None:
    """The system's number for a full disk and the file, if that is what an error comes from; libraries wrap it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error.errno, error.filename
        if (said := re.search(r"errno = (\d+)", str(error))) and int(said[1]) in FULL:  # as HDF5 does
            return int(said[1]), None
        error = error.__cause__ or error.__context__
    return None
