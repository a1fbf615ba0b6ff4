"""Makes the file of one word from a recording."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from auscult.datamodules.recording import FULL_SCALE, BadRecording, ClipSettings, prepare
from auscult.serve.upload import MOST_SECONDS, BadUpload

RATE = 48000  # hertz, AudioMNIST's
LEAST_RATE = 8000  # hertz of an upload: below, words are not told apart
MARGIN_SECONDS = 0.05  # kept on either side of the word; training trims it
LONGEST_SECONDS = 1.0  # of a clip of AudioMNIST
BARS = 240  # of the envelope
TOO_LOUD, TOO_QUIET = 0.99, 0.03  # peaks, of full scale


@dataclass(frozen=True)
class Take:
    """One word as it would be kept.

    Args:
        wav: the file's bytes: 48 kHz, 16 bit, mono.
        envelope: peaks of equal parts of the whole recording, (BARS,) in [0, 1].
        start, stop: where the word is, as shares of the recording.
        seconds: how long the word lasts, with its margins.
        advice: sentences for the speaker; none if all is well.
    """

    wav: bytes
    envelope: list[float]
    start: float
    stop: float
    seconds: float
    advice: str


def take(samples: np.ndarray, rate: int) -> Take:
    """Cuts the word out of a recording, as training would find it at the recording's own rate.

    Args:
        samples: (frames, channels), float32 in [-1, 1].
        rate: sample rate in hertz.

    Raises:
        BadUpload: there is no word in it.
    """
    check_rate(rate)
    try:
        prepared = prepare(samples, rate, ClipSettings(sample_rate=rate, seconds=MOST_SECONDS))
    except BadRecording as reason:
        raise BadUpload(f"Nothing was heard ({reason}); say it again, louder or closer.") from reason
    mono = samples.mean(axis=1)
    margin = round(MARGIN_SECONDS * rate)
    word_stop = prepared.start + prepared.samples.shape[1]
    start, stop = max(0, prepared.start - margin), min(len(mono), word_stop + margin)
    resampled = mono if rate == RATE else soxr.resample(mono, rate, RATE, quality="VHQ")
    kept = resampled[round(start * RATE / rate) : round(stop * RATE / rate)]
    bounds = np.linspace(0, len(mono), BARS, endpoint=False).astype(int)
    envelope = np.minimum(np.maximum.reduceat(np.abs(mono), bounds), 1)
    seconds = (stop - start) / rate
    advice = advise(float(np.abs(mono[start:stop]).max()), prepared.start == 0, word_stop == len(mono), seconds)
    peaks = [round(float(peak), 3) for peak in envelope]
    return Take(encoded(kept), peaks, start / len(mono), stop / len(mono), seconds, advice)


def check_rate(rate: int) -> None:
    """Raises BadUpload if the rate, in hertz, is too low."""
    if rate < LEAST_RATE:
        raise BadUpload(f"This was recorded at {rate} Hz; {LEAST_RATE} Hz or more are needed.")


def encoded(samples: np.ndarray) -> bytes:
    """A WAV file of samples at 48 kHz, (L,) in [-1, 1]. Samples recorded in 16 bit do not change."""
    whole = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    soundfile.write(file := io.BytesIO(), whole, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def advise(peak: float, at_start: bool, at_end: bool, seconds: float) -> str:
    """What the speaker could do better.

    Args:
        peak: the word's peak, as a share of full scale.
        at_start, at_end: whether the word reaches the recording's edges.
        seconds: how long the word lasts.
    """
    advice = []
    if peak >= TOO_LOUD:
        advice.append("It was too loud and is distorted: speak softer, or go back a little.")
    if peak < TOO_QUIET:
        advice.append("It was very soft: speak louder, or come closer.")
    if at_start and at_end:
        advice.append("No pause was found around the word: is there noise in the room?")
    elif at_start:
        advice.append("The word may lack its beginning: wait until you are asked to speak.")
    elif at_end:
        advice.append("The word may lack its end: speak right when you are asked to.")
    if seconds > LONGEST_SECONDS and not (at_start and at_end):
        advice.append("It is longer than a second: networks of digits hear only its loudest part.")
    return " ".join(advice)
