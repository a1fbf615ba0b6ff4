"""MP3 files whose header does not announce their length. libsndfile guesses it, and reads no further."""

import os
from pathlib import Path
from typing import Any

ENDLESS = 2**40  # bytes; libsndfile guesses a huge length for such a size, and so reads until nothing comes
SEARCHED = 4096  # bytes from the first frame on in which the header is looked for
FRAMES, BYTES = 1, 2  # flags of the header: the fields that it has, four bytes each


class Mp3:
    """The header in the first frame of an MP3 file, as the encoders Xing and LAME write it.

    Sources: http://gabriel.mp3-tech.org/mp3infotag.html; https://id3.org/id3v2.4.0-structure for the tag before it.
    """

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            start = file.read(10)
            tag = 0
            if start[:3] == b"ID3" and len(start) == 10:  # the size takes seven bits of each byte
                tag = 10 + sum((byte & 127) << 7 * place for place, byte in enumerate(reversed(start[6:])))
            file.seek(tag)
            first = file.read(SEARCHED)
            at = max(first.find(name) for name in (b"Xing", b"Info"))
            self.header = tag + at if at >= 0 else None  # its position in the file, in bytes
            fields = first[at + 4 : at + 16] if at >= 0 else b""
            flags = int.from_bytes(fields[:4], "big")
            self.announces_length = bool(flags & FRAMES)
            if flags & FRAMES and flags & BYTES:
                file.seek(tag + int.from_bytes(fields[8:12], "big"))
                behind = file.read(3)  # another MP3 may follow this one in the file: the header does not count it
                if behind == b"ID3" or (behind[:1] == b"\xff" and behind[1] & 0xE0 == 0xE0):
                    self.announces_length = False


class Endless:
    """A file that pretends to be nearly endless when asked for its size, but ends at its real end when it is read.

    Args:
        path: the file.
        hidden: position of the header's name, which reads as zeros.
    """

    def __init__(self, path: Path, hidden: int | None) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed by close)
        self._size = os.fstat(self._file.fileno()).st_size
        self._hidden = hidden
        self._at = 0
        self._behind = False  # whether the position is behind the end: a tag is looked for there, and needs an answer

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position, see `io.IOBase`; the end is at `ENDLESS`."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: ENDLESS}[whence]
        self._file.seek(min(self._at, self._size))
        self._behind = self._at > self._size
        return self._at

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer, see `io.RawIOBase`; zeros follow the end of the file."""
        content = memoryview(buffer).cast("B")
        count = self._file.readinto(content)
        if self._at <= self._size or self._behind:  # the last frame may be incomplete, if a recorder was switched off
            content[count:] = bytes(len(content) - count)
            count = len(content)
        if self._hidden is not None:
            for place in range(self._hidden - self._at, self._hidden - self._at + 4):
                if 0 <= place < count:
                    content[place] = 0
        self._at += count
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
