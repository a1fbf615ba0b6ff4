"""What a visitor sends: sound, or something that is not."""

import io

import numpy as np
import soundfile

MOST_BYTES = 20 * 10**6
MOST_SECONDS = 30.0
TOO_LARGE = f"This file is larger than {MOST_BYTES // 10**6} MB; send a shorter recording."


class BadUpload(Exception):
    """A sentence for the visitor: what is wrong with what they sent."""


def decode(content: bytes) -> tuple[np.ndarray, int]:
    """Samples (frames, channels), float32, and their rate in hertz. What kind of file it is, decoding alone tells.

    Raises:
        BadUpload: it is not audio, damaged, empty or too long.
    """
    if len(content) > MOST_BYTES:
        raise BadUpload(TOO_LARGE)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames > MOST_SECONDS * file.samplerate:
                raise BadUpload(f"This recording is longer than {MOST_SECONDS:g} seconds; send a shorter one.")
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise BadUpload("This is not a recording that can be read; send WAV, FLAC, Ogg or MP3.") from error
    if not len(samples):
        raise BadUpload("This recording is empty; send another one.")
    return samples, rate
