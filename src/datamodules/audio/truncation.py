"""Tells whether a sound file ends earlier than its header says."""

import io
import re

import soundfile

# libsndfile corrects wrong lengths silently. Its log shows the bytes that a header promises and those that are there.
_PROMISES = (
    # WAV, AIFF, AU, SVX; in small letters, the whole of a W64 file
    re.compile(r"^\s*(?:data|SSND|Data Size|BODY|riff)\s*: (?P<promised>\d+) \(should be (?P<there>\d+)\)", re.M),
    re.compile(r"^Data length (?P<promised>\d+) should be (?P<there>\d+)", re.M),  # WVE
    re.compile(r"File seems to be truncated\. (?P<there>\d+) <--> (?P<promised>\d+)"),  # MAT4
)
# In formats where it does not compare them, the log shows the frames that a header promises.
_FRAMES = {
    "AVR": re.compile(r"^\s*Frames\s*: (\d+)", re.M),
    "MPC2K": re.compile(r"^\s*Frames\s*: (\d+)", re.M),
    "MAT5": re.compile(r"^\s*Rows : \d+\s+Cols : (\d+)(?![\s\S]*Cols)", re.M),  # the last matrix
}
_SIGNS = {  # what the log says of files that end within a block
    "OGG": re.compile(r"lacks an end-of-stream bit\.\s+Ogg ?: Junk after the last page"),
    "SDS": re.compile(r"short read"),
    "VOC": re.compile(r"Seems to be a truncated file"),
}
UNKNOWN_FRAMES = 2**62  # libsndfile reports this or more if a FLAC file does not say its length


def is_truncated(file: soundfile.SoundFile, frames: int) -> bool:
    """Whether fewer frames could be read than the file's header promises.

    For a truncated MP3, libsndfile delivers fewer frames than it announced. For most other formats it corrects the
    length, and says so in its log at best. A header without a length, as recorders that stream write it, promises none.

    Args:
        file: a file that was read to its end.
        frames: the number of frames that were read.
    """
    guessed = file.format != "MP3" and file.subtype.startswith("MPEG_LAYER")  # such as WAV, whose "fact" is not used
    if frames < file.frames < UNKNOWN_FRAMES and not guessed:
        return True
    log = file.extra_info
    if file.format in _SIGNS and _SIGNS[file.format].search(log):
        return True
    if file.format in _FRAMES:
        promise = _FRAMES[file.format].search(log)
        return promise is not None and int(promise[1]) > frames
    if file.format == "NIST":
        return _promised_by_sphere(file) > frames
    if file.format == "SDS":  # the decoder invents missing samples; a byte holds at most one
        length = re.search(r"^Length : (\d+)", log, re.M)
        return length is not None and frames > int(length[1])
    if file.format == "RF64":
        return _lacks_bytes(*_bytes_of_rf64(log, frames), frames)
    return any(_lacks_bytes(int(m["promised"]), int(m["there"]), frames) for p in _PROMISES if (m := p.search(log)))


def _lacks_bytes(promised: int, there: int, frames: int) -> bool:
    """Whether a frame is lacking. Sizes from 2**31 - 1 - 2**16 to 2**32 - 1 and from 2**62 on mean "unknown"."""
    unknown = 2**31 - 1 - 2**16 <= promised < 2**32 or promised >= 2**62
    return not unknown and promised - there >= max(1, there // max(1, frames))


def _bytes_of_rf64(log: str, frames: int) -> tuple[int, int]:
    size, align = (re.search(rf"^\s*{name}\s*: (\d+)", log, re.M) for name in ("Data size", "Block Align"))
    return (int(size[1]), frames * int(align[1])) if size and align else (0, 0)


def _promised_by_sphere(file: soundfile.SoundFile) -> int:
    """The frames that a NIST file's header promises; 0 if it promises none. libsndfile's log does not show them."""
    if isinstance(file.name, io.BytesIO):
        header = bytes(file.name.getbuffer()[:1024])
    else:
        path = file.name.name if isinstance(file.name, io.BufferedReader) else file.name
        with open(path, "rb") as content:
            header = content.read(1024)
    count = re.search(rb"^sample_count\s+-i\s+(\d{1,18})\s*$", header, re.M)
    return int(count[1]) if count else 0
