"""From a recording as it was made to the clip that networks are given: mono, centred, trimmed, 16 bit."""

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy import signal

from src.datamodules.clips import Clip, Corpus
from src.mistake import Mistake

FULL_SCALE = 32768
UNREADABLE = "unreadable"  # how reasons begin that may pass: such recordings are tried again
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010  # of the energies that trimming compares


class BadRecording(Exception):
    """A recording that cannot be used, and why."""


@dataclass(frozen=True)
class ClipSettings:
    """How recordings become clips (`data.clip` in the configuration).

    Raises:
        Mistake: a value that no recording could satisfy.
    """

    sample_rate: int = 8000  # hertz
    seconds: float = 1.0  # longest clip; longer ones are cut around their energy
    highpass_hz: float | None = 60.0  # removes hum and handling noise; None leaves it in
    trim_db: float | None = 25.0  # edges this far under the loudest frame are cut off; None keeps them
    min_seconds: float = 0.05  # shorter clips are bad recordings
    short: str = "pad"  # clips under `seconds`: embedded in silence when they are read, or "repeat": until full

    def __post_init__(self) -> None:
        if self.sample_rate < 100:
            raise Mistake(f"data.clip.sample_rate={self.sample_rate} is in hertz and must be 100 or more")
        if not self.seconds > 0:
            raise Mistake(f"data.clip.seconds={self.seconds} must be above 0")
        if not 0 <= self.min_seconds <= self.seconds:
            raise Mistake(
                f"data.clip.min_seconds={self.min_seconds} must lie between 0 and data.clip.seconds={self.seconds}"
            )
        if self.highpass_hz is not None and not 0 < self.highpass_hz < self.sample_rate / 2:
            raise Mistake(
                f"data.clip.highpass_hz={self.highpass_hz} must lie between 0 and half of "
                f"data.clip.sample_rate={self.sample_rate}, or be null"
            )
        if self.trim_db is not None and not self.trim_db > 0:
            raise Mistake(f"data.clip.trim_db={self.trim_db} must be above 0 decibels, or null")
        if self.short not in ("pad", "repeat"):
            raise Mistake(
                f"data.clip.short={self.short} must be pad (silence around short clips) or repeat (until they are full)"
            )


@dataclass(frozen=True)
class Prepared:
    """A clip ready for the cache."""

    samples: np.ndarray  # (L,) int16, L at most seconds * sample_rate, and just that where clips are repeated
    start: int  # where the kept part begins in the recording, in samples at the clip's own rate
    cut: bool  # whether the recording was too long, even when trimmed


def load(corpus: Corpus, clip: Clip, settings: ClipSettings) -> Prepared:
    """Reads and prepares one recording.

    Raises:
        BadRecording: see `prepare`; also where there is no file, no audio in it, or only a part of it.
    """
    try:
        # A corpus that does not read files knows best what it returns.
        reads_files = type(corpus).read is Corpus.read
        samples, rate = read_whole(corpus.root / clip.path) if reads_files else corpus.read(clip)
    except soundfile.LibsndfileError as error:
        raise BadRecording(_why_unreadable(corpus.root / clip.path, error)) from error
    except OSError as error:
        raise BadRecording(f"unreadable: {error.strerror or error}") from error
    return prepare(samples, rate, settings)


def prepare(samples: np.ndarray, rate: int, settings: ClipSettings) -> Prepared:
    """A recording's samples, (frames, channels), float32 in [-1, 1] or int16, made into a clip.

    The mean is always removed: many recordings have an offset far above the quietest parts of their words,
    and nothing could be trimmed. Levels are kept, except where a peak would not fit into 16 bits. A clip that is
    repeated begins again right after its last sample, and its last turn ends where it is full.

    Raises:
        BadRecording: empty, not finite, silent, or too short after trimming.
    """
    if samples.size == 0:
        raise BadRecording("empty: no samples")
    with np.errstate(invalid="ignore"):  # infinities of both signs
        mono = samples.mean(axis=1, dtype=np.float64) if samples.shape[1] > 1 else samples[:, 0]
        mean = float(mono.mean(dtype=np.float64))
    if not math.isfinite(mean):  # one such sample is enough
        raise BadRecording("not finite: NaN or infinite samples")
    # The resampler works in float32, whatever it is given, and is quickest with that.
    mono = soxr.resample(mono - mean, rate, settings.sample_rate, quality="HQ").astype(np.float64, copy=False)
    if samples.dtype == np.int16:
        mono /= FULL_SCALE  # only now: there are fewer samples
    mono = highpass(mono, settings.sample_rate, settings.highpass_hz)
    if not math.isfinite(_peak(mono)):  # floats near their largest, which the resampler adds up
        raise BadRecording("not finite: samples as large as can be")
    if _peak(mono) < 0.5 / FULL_SCALE:  # rounds to zeros
        raise BadRecording("silent")

    energy_before = np.concatenate(([0.0], np.cumsum(mono**2)))  # (L + 1,)
    start, stop = _loud_part(energy_before, settings)
    # not a part of a sample more: what lasts just so long may have been rounded down by the resampler
    if stop - start < math.floor(settings.min_seconds * settings.sample_rate):
        raise BadRecording(f"too short: under {settings.min_seconds:g} s of sound")
    longest = round(settings.seconds * settings.sample_rate)
    cut = stop - start > longest
    if cut:
        start += _loudest_window(energy_before[start : stop + 1], longest)
        stop = start + longest
    kept = _to_int16(mono[start:stop])
    return Prepared(np.resize(kept, longest) if settings.short == "repeat" else kept, int(start), bool(cut))


def highpass(mono: np.ndarray, rate: int, cutoff_hz: float | None) -> np.ndarray:
    """Fourth-order Linkwitz-Riley filter: two Butterworth filters of second order, 6 dB down at the cutoff.

    It runs forwards only, so that nothing rings before a word begins.
    """
    if cutoff_hz is None or len(mono) == 0:
        return mono
    sections, settled = _butterworth(rate, cutoff_hz)
    return signal.sosfilt(sections, mono, zi=settled * mono[0])[0]


@cache
def _butterworth(rate: int, cutoff_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The filter's sections, and their state after a long constant 1."""
    sections = np.tile(signal.butter(2, cutoff_hz, btype="highpass", fs=rate, output="sos"), (2, 1))
    return sections, signal.sosfilt_zi(sections)


def _loud_part(energy_before: np.ndarray, settings: ClipSettings) -> tuple[int, int]:
    """First and last (exclusive) sample of the frames less than `trim_db` under the loudest frame."""
    length = len(energy_before) - 1
    if settings.trim_db is None:
        return 0, length
    frame, hop = (round(seconds * settings.sample_rate) for seconds in (FRAME_SECONDS, HOP_SECONDS))
    starts = np.arange(0, max(length - frame, 0) + hop, hop)  # the last frame may hang over the end
    stops = np.minimum(starts + frame, length)
    energy = energy_before[stops] - energy_before[starts]
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-settings.trim_db / 10))
    return int(starts[loud[0]]), int(stops[loud[-1]])


def _loudest_window(energy_before: np.ndarray, length: int) -> int:
    """Start of the window of `length` samples that holds the most energy."""
    return int(np.argmax(energy_before[length:] - energy_before[:-length]))


def _peak(mono: np.ndarray) -> float:
    return float(max(mono.max(initial=0), -mono.min(initial=0)))


def _to_int16(mono: np.ndarray) -> np.ndarray:
    peak = _peak(mono) * FULL_SCALE
    return np.rint(mono * (FULL_SCALE * min(1.0, (FULL_SCALE - 1) / peak))).astype(np.int16)


def read_whole(path: Path) -> tuple[np.ndarray, int]:
    """What `Corpus.read` reads, and whether that is all there was, with one opening of the file.

    Samples that are stored in 16 bits stay int16: that is half the work of turning them into floats.

    Raises:
        BadRecording: truncated.
        soundfile.LibsndfileError: no file, or not audio.
    """
    with soundfile.SoundFile(path) as file:
        dtype = "int16" if file.subtype == "PCM_16" else "float32"
        samples = file.read(dtype=dtype, always_2d=True)
        if is_truncated(file, len(samples)):
            raise BadRecording("truncated: the file ends before its header says")
        return samples, file.samplerate


def is_truncated(file: soundfile.SoundFile, frames: int) -> bool:
    """Whether fewer frames could be read than the file's header promises.

    libsndfile silently corrects the length of WAV, AIFF and AU files and leaves only a line such as
    "data : 32000 (should be 15978)" in its log; of an MP3 it delivers fewer frames than it announced; a FLAC
    file raises when it is read. Sizes of 0 and from 2**31 - 1 - 2**16 on mean "unknown" (recorders that stream).
    """
    promised = re.search(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", file.extra_info)
    if promised is None:
        return frames < file.frames
    header, found = int(promised[1]), int(promised[2])
    bytes_per_frame = max(1, found // max(1, file.frames))
    return header < 2**31 - 1 - 2**16 and header - found >= bytes_per_frame


def _why_unreadable(path: Path, error: soundfile.LibsndfileError) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "empty: no bytes"
    if not path.is_file():
        return "unreadable: no such file"
    if "lost sync" in error.error_string:  # what libsndfile says of a FLAC file that ends too early
        return "truncated or damaged: FLAC decoder lost sync"
    return f"not audio: {error.error_string.strip().rstrip('.')}"
