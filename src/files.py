"""Writes files whole or not at all, whatever happens to the program or the disk."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auscult.mistake import Mistake

UNFINISHED = ".part"
WANDB = "wandb"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a file to write to, which replaces `path` once it is whole on the disk, and is removed otherwise.

    Raises:
        OSError: the disk cannot take the whole file.
    """
    unfinished = path.with_suffix(UNFINISHED)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())  # some file systems say only now that they are full
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def check_links(folder: Path) -> None:
    """Checks that no link in a folder leads out of it: what is written to a link is written where the link leads.

    The folders of W&B's runs are not checked: W&B puts a link to its own log there, and makes a folder with a new name
    each time.

    Raises:
        Mistake: a link leads out of the folder, or something in it is a pipe or a device.
    """
    home = os.path.realpath(folder)
    for place, folders, names in os.walk(folder):
        if place != str(folder) and os.path.relpath(place, folder).split(os.sep)[-2:-1] == [WANDB]:
            folders.clear()
            continue
        for name in (*folders, *names):
            path = os.path.join(place, name)
            kind = os.lstat(path).st_mode
            if stat.S_ISLNK(kind):
                if not os.path.realpath(path).startswith(home + os.sep):
                    raise Mistake(f"{path} is a link that leads out of {folder}; remove it, or name another folder.")
            elif not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise Mistake(f"{path} is no file but a pipe or a device; remove it, or name another folder.")


def full_disk(error: BaseException | None) -> tuple[int, str | None] | None:
    """The system's error number and the file, if an error comes from a full disk; else None. Libraries wrap it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error.errno, error.filename
        if (number := re.search(r"errno = (\d+)", str(error))) and int(number[1]) in FULL:  # of HDF5
            return int(number[1]), None
        error = error.__cause__ or error.__context__
    return None
