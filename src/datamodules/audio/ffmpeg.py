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
# The formats that are read. Formats that refer to other files or to network addresses are not among them.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dss,flac,gsm,matroska,mov,mp3,mpc,mpegts,ogg,oma,shn,tak,tta,voc,w64,"
    "wav,wv"
)
# A file may be this much shorter than its header announces: encoders round up, and count samples that they leave out at
# the ends. Up to 2 800 samples were measured, for MP3 in Matroska.
MISSING_SAMPLES, MISSING_SECONDS, MOST_MISSING_SECONDS = 4096, 0.1, 0.5


class NotDecoded(Exception):
    """Why a file's sound cannot be read."""


def is_there() -> bool:
    """Whether PyAV is installed."""
    return av is not None


class Sound:
    """The first stream of sound in an open file.

    Raises:
        NotDecoded: the file cannot be decoded, or only a part of it.
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
        # taken from the decoded frame: headers of HE-AAC name half the rate
        self.samplerate: int = first.sample_rate
        self.channels: int = first.layout.nb_channels
        length = self._stream.duration and float(self._stream.duration * self._stream.time_base)
        self._announced = length or (container.duration or 0) / av.time_base  # seconds; 0 if not announced

    def blocks(self, most: int) -> Iterator[np.ndarray]:
        """Yields blocks (frames, channels) float32 in [-1, 1], of about `most` frames each."""
        resampler = av.AudioResampler("fltp", self._first.layout, self.samplerate)  # changes only the number format
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
        yield None  # makes the resampler return what it has kept


@contextmanager
def opened(path: Path) -> Iterator[Sound]:
    """Opens the sound in a file.

    Raises:
        NotDecoded: the file holds no sound that can be decoded; may also be raised while it is read.
    """
    try:
        with (
            open(path, "rb") as file,  # FFmpeg gets no file name, as it could take one for a network address
            av.open(file, options={"format_whitelist": FORMATS, "protocol_whitelist": ""}) as container,
        ):
            yield Sound(container)
    except av.FFmpegError as error:
        kind = "truncated or damaged" if path.suffix.lower() in ENDINGS | {".ogg", ".oga"} else "not audio"
        raise NotDecoded(f"{kind}: {error.strerror or error}") from error
