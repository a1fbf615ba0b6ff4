"""What a visitor sends: a recording, or something that is none."""

import io

import numpy as np
import soundfile

from auscult.datamodules.audio.quiet import quiet
from auscult.datamodules.recording import is_truncated

MOST_BYTES = 20 * 10**6
MOST_SECONDS = 30.0
LEAST_RATE, MOST_RATE = 4000, 192_000  # hertz
MOST_SAMPLES = round(2 * MOST_SECONDS * MOST_RATE)  # of all channels


class BadUpload(Exception):
    """A sentence for the visitor: what is wrong with what they sent."""


class TooLarge(BadUpload):
    """The upload has more than so many bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"This is larger than {most / 10**6:g} MB; send a shorter one.")


class Busy(BadUpload):
    """There is no room for the upload now."""

    def __init__(self) -> None:
        super().__init__("Too many people send something at once; try again in a minute.")


def decode(content: bytes) -> tuple[np.ndarray, int]:
    """Samples (frames, channels), float32, and their rate in hertz. Any kind of file is taken that can be decoded.

    Raises:
        BadUpload: the content is not audio, damaged, empty or too long, or has an unusual rate or number of channels.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge(MOST_BYTES)
    try:
        with quiet(), soundfile.SoundFile(io.BytesIO(content)) as file:
            check_size(file.frames, file.samplerate, file.channels)
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
            if len(samples) and is_truncated(file, len(samples)):
                raise BadUpload("This recording ends too early; send it as a whole.")
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise BadUpload("This is not a recording that can be read; send WAV, FLAC, Ogg or MP3.") from error
    if not len(samples):
        raise BadUpload("This recording is empty; send another one.")
    return samples, rate


def check_size(frames: int, rate: int, channels: int) -> None:
    """Raises BadUpload if decoding would take long or much memory: a few bytes can hold hours of silence."""
    if frames > MOST_SECONDS * rate:
        raise BadUpload(f"This recording is longer than {MOST_SECONDS:g} seconds; send a shorter one.")
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise BadUpload(f"This was recorded at {rate} Hz; send one of {LEAST_RATE} to {MOST_RATE} Hz.")
    if channels * frames > MOST_SAMPLES:
        raise BadUpload(f"This recording has {channels} channels; send fewer, or less of it.")
