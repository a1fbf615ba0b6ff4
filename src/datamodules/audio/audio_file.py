"""Sound files, decoded in blocks, so that a recording of any length takes little memory."""

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from auscult.datamodules.audio import ffmpeg
from auscult.datamodules.audio.mp3 import Endless, Mp3
from auscult.datamodules.audio.quiet import quiet
from auscult.datamodules.audio.truncation import is_truncated

UNREADABLE = "unreadable"  # reasons that begin so may be temporary: such recordings are tried again
_OF_FORK = "truncated or damaged: bad data offset"  # what earlier versions said of a good recording beside its fork
TRIED_AGAIN = (UNREADABLE, _OF_FORK)  # beginnings of such reasons
BLOCK = 2**21  # samples of a block, over all channels: 43 s of mono at 48 kHz
_TEXT = "not audio: it is text and no recording, such as a page that was loaded instead of one"
_NOT_RECOGNISED, _SYSTEM, _UNSUPPORTED = 1, 2, 4  # libsndfile's public errors; the others come from a format's parser


class BadRecording(Exception):
    """A recording that cannot be used, and why."""


class AudioFile:
    """A file's samples. A file of up to one block is decoded once, a longer one at each call of `blocks`.

    Only the format, the rate and the number of channels are taken from the header: the file ends where nothing more can
    be decoded.

    Raises:
        BadRecording: the file does not exist, cannot be read, is no regular file, not audio, truncated, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _require_regular_file(path)
        if path.suffix.lower() == ".raw":  # soundfile needs to be told its format
            raise BadRecording("not audio: raw samples without a header")
        with _decoded(path) as (rate, blocks):
            self.rate = rate
            first = list(islice(blocks, 2))
        self._whole = first if len(first) < 2 else None

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields blocks (frames, channels), int16 if the file stores 16 bits, else float32 in [-1, 1].

        Samples of 16 bits stay as they are, as floats take twice the work.

        Raises:
            BadRecording: the file is truncated or damaged.
        """
        if self._whole is not None:
            yield from self._whole
            return
        with _decoded(self.path) as (_, blocks):
            yield from blocks


def read_whole(path: Path) -> tuple[np.ndarray, int]:
    """All samples of a file, (frames, channels), int16 or float32, see `AudioFile.blocks`, and its rate in hertz.

    Raises:
        BadRecording: see `AudioFile`.
    """
    file = AudioFile(path)
    return np.concatenate(list(file.blocks()) or [np.empty((0, 1), np.float32)]), file.rate


class _Decoder(soundfile.SoundFile):
    """Reads from start to end, and never seeks: some formats cannot seek, and some seek to a wrong place."""

    def seekable(self) -> bool:
        return False


class _EndlessDecoder(_Decoder):
    """Decodes a file whose header does not say how long it is."""


@contextmanager
def _decoded(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Opens a file: its rate in hertz, and its blocks. FFmpeg decodes formats that libsndfile does not know."""
    unknown = ""
    try:
        with ExitStack() as stack:
            try:
                file = stack.enter_context(_opened(path))
                if file.format == "RAW":  # libsndfile takes a file for this if it ends in .au without being AU
                    raise BadRecording("not audio: it has no header")
                decoded = file.samplerate, _blocks(file)
            except soundfile.LibsndfileError as error:
                if error.code not in (_NOT_RECOGNISED, _UNSUPPORTED) and not _is_for_ffmpeg(path):
                    raise
                unknown = _why(error)
            if unknown:
                sound = stack.enter_context(_opened_by_ffmpeg(path, unknown))
                decoded = sound.samplerate, sound.blocks(max(1, BLOCK // sound.channels))
            yield decoded
    except soundfile.LibsndfileError as error:
        raise BadRecording(_TEXT if _is_text(path) else _why(error)) from error
    except ffmpeg.NotDecoded as error:
        raise BadRecording(_TEXT if _is_text(path) else str(error)) from error


def _is_text(path: Path) -> bool:
    """Whether a file begins like text. The decoders of some formats call text a damaged or missing recording."""
    with open(path, "rb") as file:
        start = file.read(512)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)  # `start` may end within a letter
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r\f" for letter in text)


def _is_for_ffmpeg(path: Path) -> bool:
    """Whether FFmpeg is there and the file is FLAC in Ogg: libsndfile cannot read all of these."""
    with open(path, "rb") as file:
        start = file.read(64)
    return ffmpeg.is_there() and start.startswith(b"OggS") and b"\x7fFLAC" in start


def _opened_by_ffmpeg(path: Path, unknown: str) -> AbstractContextManager[ffmpeg.Sound]:
    ending = path.suffix.lower()
    if not ffmpeg.is_there():
        needs = f"{UNREADABLE}: {ending} needs FFmpeg, which comes with PyAV: {ffmpeg.INSTALL}"
        raise BadRecording(needs if ending in ffmpeg.ENDINGS else unknown)
    return ffmpeg.opened(path)


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    with ExitStack() as stack:
        content: bytes | BinaryIO = os.fsencode(path)  # bytes, as a name need not be UTF-8
        if path.suffix.lower() != ".sd2" and any(fork.exists() for fork in _forks_of(path)):
            content = stack.enter_context(open(path, "rb"))  # given a path, libsndfile takes the fork for an SD2 file's
        with quiet():
            file = stack.enter_context(_Decoder(content))
        if file.format != "MP3" or (mp3 := Mp3(path)).announces_length:
            yield file
            return
    with closing(Endless(path, hidden=mp3.header)) as endless:
        with quiet():
            opened = _EndlessDecoder(endless)
        with opened as file:
            yield file


def _require_regular_file(path: Path) -> None:
    """Raises BadRecording unless this is a regular file: libsndfile would wait for ever for the writer of a pipe."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise BadRecording(f"{UNREADABLE}: not a regular file")
        if status.st_size == 0:
            raise BadRecording("empty: no bytes")
        with open(path, "rb"):
            pass
        for fork in _forks_of(path) if path.suffix.lower() == ".sd2" else ():  # it opens these, too
            if fork.exists() and not fork.is_file():
                raise BadRecording(f"{UNREADABLE}: {fork.name} beside it is not a regular file")
    except FileNotFoundError as error:
        raise BadRecording(f"{UNREADABLE}: no such file") from error
    except OSError as error:
        raise BadRecording(f"{UNREADABLE}: {error.strerror or error}") from error


def _forks_of(path: Path) -> tuple[Path, Path]:
    """Where macOS and Netatalk put a file's resource fork. Of recordings, only SD2 has its header there."""
    return path.with_name(f"._{path.name}"), path.parent / ".AppleDouble" / path.name


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    dtype = "int16" if file.subtype == "PCM_16" else "float32"
    most = max(1, BLOCK // file.channels)
    if 0 <= file.frames < most:
        most = file.frames + 1  # one block, longer than the file: the first read finds the end
    frames = 0
    while True:
        with quiet():
            block = file.read(out=np.empty((most, file.channels), dtype))
        frames += len(block)
        if len(block):
            yield block
        if len(block) < most:
            break
    if not isinstance(file, _EndlessDecoder) and is_truncated(file, frames):
        raise BadRecording("truncated: the file ends before its header says")


def _why(error: soundfile.LibsndfileError) -> str:
    text = " ".join(error.error_string.split()).removeprefix("Error : ").rstrip(".")
    if error.code == _SYSTEM:
        return f"{UNREADABLE}: {text}"
    return f"{'not audio' if error.code in (_NOT_RECOGNISED, _UNSUPPORTED) else 'truncated or damaged'}: {text}"
