"""A picture and a sound, as pages hold them: in the page itself, without a file beside it."""

import base64
import io
import struct
from dataclasses import dataclass

import soundfile


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows, in words for those who do not see it.

    Args:
        png: a PNG file's bytes.
        alt: what the picture shows.
        caption: below the picture; none if empty.
        time_axis: where the clip starts and where it ends, as fractions of the picture's width; a line moves between
            them while one of the clip's sounds plays.
    """

    png: bytes
    alt: str
    caption: str = ""
    time_axis: tuple[float, float] | None = None

    @property
    def uri(self) -> str:
        return data_uri("image/png", self.png)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels: the page keeps the room before it decodes the picture."""
        width, height = struct.unpack(">II", self.png[16:24])  # the header chunk comes first, PNG specification 5.6
        return width, height


@dataclass(frozen=True)
class Sound:
    """A WAV file's bytes, as long as the clip is, and a name such as "positive relevance"."""

    name: str
    wav: bytes

    @property
    def uri(self) -> str:
        """The same samples as FLAC, which takes half the room."""
        samples, rate = soundfile.read(io.BytesIO(self.wav), dtype="int16")
        soundfile.write(file := io.BytesIO(), samples, rate, format="FLAC")
        return data_uri("audio/flac", file.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
