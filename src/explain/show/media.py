"""Pictures and sounds that a page contains itself, without separate files."""

import base64
import struct
from dataclasses import dataclass
from xml.etree import ElementTree

PNG = b"\x89PNG\r\n\x1a\n"  # how each PNG file begins


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG, and a description in words for those who do not see it.

    Args:
        content: the file's bytes.
        alt: what the picture shows.
        time_axis: start and end of the clip, as shares of the picture's width. A line moves between them while a sound
            of the clip plays.
    """

    content: bytes
    alt: str
    time_axis: tuple[float, float] | None = None

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return data_uri("image/png" if self.content.startswith(PNG) else "image/svg+xml", self.content)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of a page, which reserves the room before it decodes the picture."""
        if self.content.startswith(PNG):  # the header chunk comes first, PNG specification 5.6
            width, height = struct.unpack(">II", self.content[16:24])
        else:
            root = ElementTree.fromstring(self.content)
            width, height = (round(float(root.attrib[name].removesuffix("pt")) * 4 / 3) for name in ("width", "height"))
        return width, height


@dataclass(frozen=True)
class Sound:
    """The bytes of a WAV file, as long as the clip, and a name such as "positive"."""

    name: str
    wav: bytes

    @property
    def short(self) -> str:
        """The name in a word."""
        return "both" if "," in self.name else self.name

    @property
    def uri(self) -> str:
        """The file as a data URI. FLAC would take half the room, but Chromium cannot seek in a short one."""
        return data_uri("audio/wav", self.wav)


def data_uri(kind: str, content: bytes) -> str:
    """The content of a file as a data URI, given its media type such as `image/png`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
