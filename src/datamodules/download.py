"""Downloads a ZIP archive of recordings into a folder: resumably, safely, and only as a whole."""

import hashlib
import logging
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pooch
import requests
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from auscult.mistake import Mistake

log = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes
TIMEOUT = 30  # seconds without any data


def fetch(url: str, folder: Path, check: Callable[[Path], None]) -> None:
    """Downloads and unpacks the archive, then renames its single top folder to `folder`.

    The next call continues a transfer that broke off. Everything unfinished lies in `.<folder>.download` beside
    `folder`.

    Args:
        check: is called with the unpacked top folder, and raises a Mistake if its content is not as expected.

    Raises:
        Mistake: `folder` has other content or cannot be written, the transfer fails, or the archive is damaged, unsafe,
            or refused by `check`.
    """
    folder = folder.resolve()
    work = folder.with_name(f".{folder.name}.download")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if folder.exists() and any(folder.iterdir()):
                return _already_there(folder, check)
            work.mkdir(exist_ok=True)
            archive = _retrieve(url, work)
            try:
                top = _unpack(archive, work / "unpacked", url)
                check(top)
            except Mistake:  # the same archive would fail again
                shutil.rmtree(work, ignore_errors=True)
                raise
            top.rename(folder)  # fails if `folder` has got any content meanwhile
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise Mistake(
            f"the download cannot be stored in data.root={folder} ({error.strerror or error}): make room there, or "
            "set data.root to another folder."
        ) from error


def _already_there(folder: Path, check: Callable[[Path], None]) -> None:
    """Raises a Mistake unless the folder holds the same download, which another process may just have finished."""
    try:
        check(folder)
    except Mistake as error:
        raise Mistake(
            f"data.root={folder} is not empty and holds no such recordings: set data.root to another folder for "
            "data.download=true."
        ) from error


def _retrieve(url: str, work: Path) -> Path:
    log.info("downloading %s", url)
    pooch.get_logger().setLevel(logging.WARNING)  # it would ask for a checksum, and none is published
    try:
        return Path(pooch.retrieve(url, None, fname=_name(url), path=work, downloader=_continue))
    except requests.RequestException as error:
        raise Mistake(
            f"the download from data.url={url} broke off ({_reason(error)}): repeat the command to continue it, or "
            "fetch the recordings by hand and point data.root to them."
        ) from error


def _name(url: str) -> str:
    return f"{hashlib.sha256(url.encode()).hexdigest()[:12]}.zip"  # only the same archive is continued


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return type(error).__name__


def _continue(url: str, output_file: str, caller: object) -> None:
    """Continues a transfer where an earlier one stopped; a downloader for pooch.

    GitHub packs archives while they are downloaded. It may ignore the request for the rest, and then sends all.
    """
    part = Path(output_file).parent / f"{_name(url)}.part"
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:  # nothing was missing
            shutil.move(part, output_file)
            return
        response.raise_for_status()
        continued = response.status_code == requests.codes.partial_content
        length = int(response.headers.get("Content-Length", 0))
        have = have if continued else 0
        with _progress() as progress, open(part, "ab" if continued else "wb") as file:
            task = progress.add_task("downloading", total=have + length if length else None, completed=have)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))
    shutil.move(part, output_file)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _unpack(archive: Path, folder: Path, url: str) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as members:
            for member in members.infolist():
                name = PurePosixPath(member.filename.replace("\\", "/"))
                link = stat.S_ISLNK(member.external_attr >> 16)
                if name.is_absolute() or ".." in name.parts or link:
                    raise Mistake(
                        f"the archive at data.url={url} wants to write outside its folder ({member.filename}), and is "
                        "not unpacked: fetch the recordings from a source you trust."
                    )
            members.extractall(folder)  # checks each member's own checksum
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted, or unknown packing
        raise Mistake(
            f"the archive from data.url={url} is damaged ({error}): repeat the command to fetch it anew."
        ) from error
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise Mistake(f"the archive at data.url={url} must hold one folder with the recordings, and holds {len(tops)}.")
    return tops[0]
