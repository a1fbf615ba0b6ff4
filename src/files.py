"""Files that are there whole or not at all, whatever happens to the program or the disk."""

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


def check_links(folder: Path) -> None:
    """Looks whether all that is in a folder lies in it: what is written to a link is written where it leads.

    Links within the folder are followed. What lies in the folders of W&B's runs is not asked: W&B links its own log in
    there, and begins a folder of a new name each time.

    Raises:
        Mistake: a link leads out of it, or something is no file that can be read to its end.
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
    """The system's number for a full disk and the file, if that is what an error comes from; libraries wrap it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error.errno, error.filename
        if (said := re.search(r"errno = (\d+)", str(error))) and int(said[1]) in FULL:  # as HDF5 does
            return int(said[1]), None
        error = error.__cause__ or error.__context__
    return None
