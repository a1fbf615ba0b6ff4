"""Formats that libsndfile does not know, read with FFmpeg where PyAV is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

try:
    import av
except ImportError:  # the extra `formats`
    av = None  # type: ignore[assignment]

INSTALL = '.venv/bin/python -m pip install "av<19"'
ENDINGS = {
    ".3ga", ".3gp", ".3gpp", ".aac", ".ac3", ".amr", ".ape", ".awb", ".dss", ".m4a", ".m4b", ".mka", ".mov", ".mp4",
    ".mpc", ".spx", ".tta", ".webm", ".wma", ".wv",
}  # fmt: skip
# What a recording's file may be: none of the formats that lead to other files or to addresses.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dss,flac,gsm,matroska,mov,mp3,mpc,mpegts,ogg,oma,shn,tak,tta,voc,w64,"
    "wav,wv"
)
# Of what a header announces so much may not come: encoders round up, and count what they leave out at the ends.
# Measured: up to 2 800 samples, of MP3 in Matroska.
MISSING_SAMPLES, MISSING_SECONDS, MOST_MISSING_SECONDS = 4096, 0.1, 0.5


class NotDecoded(Exception):
    """Why a file's sound cannot be read."""


def is_there() -> bool:
    """Whether PyAV is installed."""
    return av is not None


class Sound:
    """The first stream of sound in a file that is open.

    Raises:
        NotDecoded: nothing in it, or only a part of it, can be decoded.
    """

    def __init__(self, container: Any) -> None:
        if not container.streams.audio:
            raise NotDecoded("not audio: there is no sound in it")
        self._stream = container.streams.audio[0]
        self._frames = container.decode(self._stream)
        first = next(self._frames, None)
        if first is None:
            raise NotDecoded("not audio: there is no sound in it")
        self._first = first
        # of what is decoded: headers of HE-AAC say half of it
        self.samplerate: int = first.sample_rate
        self.channels: int = first.layout.nb_channels
        length = self._stream.duration and float(self._stream.duration * self._stream.time_base)
        self._announced = length or (container.duration or 0) / av.time_base  # seconds; 0 where it does not say

    def blocks(self, most: int) -> Iterator[np.ndarray]:
        """(frames, channels) float32 in [-1, 1] each, of about `most` frames."""
        resampler = av.AudioResampler("fltp", self._first.layout, self.samplerate)  # changes how they are written only
        waiting: list[np.ndarray] = []
        count = total = 0
        for frame in self._with_end():
            for plain in resampler.resample(frame):
                waiting.append(plain.to_ndarray().T)
                count += len(waiting[-1])
            if count >= most or frame is None:
                total += count
                if count:
                    yield np.concatenate(waiting)
                waiting, count = [], 0
        may_miss = min(MISSING_SAMPLES / self.samplerate + MISSING_SECONDS, MOST_MISSING_SECONDS)
        if total / self.samplerate < self._announced - may_miss:
            raise NotDecoded("truncated: the file ends before its header says")

    def _with_end(self) -> Iterator[Any]:
        yield self._first
        yield from self._frames
        yield None  # the resampler gives what it kept


@contextmanager
def opened(path: Path) -> Iterator[Sound]:
    """The sound in a file.

    Raises:
        NotDecoded: there is none; also while it is read.
    """
    try:
        with (
            open(path, "rb") as file,  # FFmpeg is given no name, which could be an address
            av.open(file, options={"format_whitelist": FORMATS, "protocol_whitelist": ""}) as container,
        ):
            yield Sound(container)
    except av.FFmpegError as error:
        kind = "truncated or damaged" if path.suffix.lower() in ENDINGS | {".ogg", ".oga"} else "not audio"
        raise NotDecoded(f"{kind}: {error.strerror or error}") from error
