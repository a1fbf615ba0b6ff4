"""From a recording as it was made to the clip that networks are given: mono, centred, trimmed, 16 bit."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from threading import Event

import numpy as np

from auscult.datamodules.audio.audio_file import BLOCK, UNREADABLE, AudioFile, BadRecording
from auscult.datamodules.audio.audio_file import read_whole as read_whole  # both are asked for here, too
from auscult.datamodules.audio.energy import Part, loud_part, loudest_window, peak_of, with_energy
from auscult.datamodules.audio.filters import FULL_SCALE, highpassed, mono_at_rate, mono_of
from auscult.datamodules.audio.truncation import is_truncated as is_truncated
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.published import TooLong, check_length, resampled
from auscult.mistake import Mistake

SOFT = 2.0**-8  # of full scale, -48 dB: of a louder clip, 16 bits leave at least eight to its peak
SILENT = 2.0**-24  # of full scale, -144 dB: half a step of 24 bits
LOWEST_RATE, HIGHEST_RATE = 100, 10**7  # hertz, of recordings: others are damage, or take long to resample
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010  # of the energies that trimming compares


MOST_SAMPLES = 2e7  # of a clip: seven minutes at 48 kHz


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
    preparation: str = "cleaned"  # "published": as AudioMNIST's recordings were, see `published.py`
    short: str = "pad"  # clips under `seconds`: embedded in silence when they are read, or "repeat": until full

    def __post_init__(self) -> None:
        if self.sample_rate < 100:
            raise Mistake(f"data.clip.sample_rate={self.sample_rate} is in hertz and must be 100 or more.")
        if not self.seconds > 0:
            raise Mistake(f"data.clip.seconds={self.seconds} must be above 0.")
        if self.seconds * self.sample_rate > MOST_SAMPLES:
            raise Mistake(
                f"data.clip.seconds={self.seconds:g} at data.clip.sample_rate={self.sample_rate} are more than"
                f" {MOST_SAMPLES:g} samples: choose shorter clips; recordings themselves may be of any length."
            )
        if not 0 <= self.min_seconds <= self.seconds:
            raise Mistake(
                f"data.clip.min_seconds={self.min_seconds} must lie between 0 and data.clip.seconds={self.seconds}."
            )
        if self.highpass_hz is not None and not 0 < self.highpass_hz < self.sample_rate / 2:
            raise Mistake(
                f"data.clip.highpass_hz={self.highpass_hz} must lie between 0 and half of "
                f"data.clip.sample_rate={self.sample_rate}, or be null."
            )
        if self.trim_db is not None and not self.trim_db > 0:
            raise Mistake(f"data.clip.trim_db={self.trim_db} must be above 0 decibels, or null.")
        if self.preparation == "published" and (self.highpass_hz, self.trim_db, self.short) != (None, None, "pad"):
            raise Mistake(
                "data.clip.preparation=published neither filters nor trims nor repeats clips: say"
                " data.clip.highpass_hz=null data.clip.trim_db=null data.clip.short=pad with it."
            )
        if self.short not in ("pad", "repeat"):
            raise Mistake(
                f"data.clip.short={self.short} must be pad (silence around short clips) or repeat (until they are"
                " full)."
            )


@dataclass(frozen=True)
class Prepared:
    """A clip ready for the cache."""

    samples: np.ndarray  # (L,) int16, L at most seconds * sample_rate, and just that where clips are repeated
    start: int  # where the kept part begins in the recording, in samples at the clip's own rate
    cut: bool  # whether the recording was too long, even when trimmed
    left: float = 1.0  # of the recording's power, mean removed: the share that resampling and high-pass have left


def load(corpus: Corpus, clip: Clip, settings: ClipSettings, stopped: Event | None = None) -> Prepared:
    """Reads and prepares one recording.

    Args:
        stopped: is set, by another thread, when the clip is not wanted any more.

    Raises:
        BadRecording: see `prepare`; also where there is no file, no audio in it, or only a part of it.
        Mistake: it is longer than clips can be under data.clip.preparation=published, where that is an error.
    """
    try:
        return _load(corpus, clip, settings, stopped)
    except TooLong as error:
        raise Mistake(
            f"data.clip.preparation=published ends where a recording is longer than a clip, and {clip.path} is"
            f" ({error} s): shorten it or leave it out, or choose data.clip.preparation=cleaned, which cuts it."
        ) from error


def _load(corpus: Corpus, clip: Clip, settings: ClipSettings, stopped: Event | None) -> Prepared:
    # A corpus that does not read files knows best what it returns.
    if type(corpus).read is not Corpus.read:
        try:
            return prepare(*corpus.read(clip), settings)
        except OSError as error:
            raise BadRecording(f"{UNREADABLE}: {error.strerror or error}") from error
    file = AudioFile(corpus.root / clip.path)

    def blocks() -> Iterator[np.ndarray]:
        return takewhile(lambda _: stopped is None or not stopped.is_set(), file.blocks())

    return _prepare(blocks, file.rate, settings)


def prepare(samples: np.ndarray, rate: int, settings: ClipSettings) -> Prepared:
    """A recording's samples, (frames, channels), float32 in [-1, 1] or int16, made into a clip.

    Channels are averaged, or, where they cancel each other, the loudest is taken. The mean is removed: many
    recordings have an offset far above the quietest parts of their words, and nothing could be trimmed. Levels are
    kept, except where a peak would not fit into 16 bits, or is so soft (under -48 dB) that little of it would be left:
    such a clip is raised by a power of two. A clip that is repeated begins again right after its last sample, and its
    last turn ends where it is full.

    With `preparation="published"`, the mean stays and another resampler is used, see `published.py`. Rounding to 16
    bits, which the original did not do, changes a sample by half a step at most.

    Raises:
        BadRecording: empty, not finite, silent, too short after trimming, or of a rate that nobody records at; also
            `TooLong` where nothing is cut.
    """
    return _prepare(lambda: iter([samples]), rate, settings)


def _prepare(blocks: Callable[[], Iterator[np.ndarray]], rate: int, settings: ClipSettings) -> Prepared:
    """See `prepare`; of a recording that may be longer than memory.

    Args:
        blocks: gives the recording's samples in blocks, from its beginning whenever it is called.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadRecording(f"not audio: a sample rate of {rate} Hz")
    frames, mean, channel, power = _measured(blocks())
    if settings.preparation == "published":
        return _prepare_as_published(blocks(), frames, channel, rate, settings)

    def parts() -> Iterable[Part]:
        centred = mono_at_rate(blocks(), channel, mean, rate, settings.sample_rate)
        return with_energy(highpassed(centred, settings.sample_rate, settings.highpass_hz))

    kept = list(parts()) if frames * settings.sample_rate <= BLOCK * rate else None  # short ones are filtered once
    frame, hop = (round(seconds * settings.sample_rate) for seconds in (FRAME_SECONDS, HOP_SECONDS))
    start, stop, peak, left = loud_part(kept or parts(), frame, hop, settings.trim_db)
    _check_peak(peak)
    # not a part of a sample more: what lasts just so long may have been rounded down by the resampler
    if stop - start < math.floor(settings.min_seconds * settings.sample_rate):
        raise BadRecording(f"too short: under {settings.min_seconds:g} s of sound")
    longest = round(settings.seconds * settings.sample_rate)
    begin, samples = loudest_window(kept or parts(), start, stop, min(longest, stop - start))
    if len(samples) == 0:
        raise BadRecording(f"{UNREADABLE}: it changed while it was read")
    clip = _to_int16(samples)
    whole = np.resize(clip, longest) if settings.short == "repeat" else clip
    return Prepared(whole, begin, stop - start > longest, left / power if power > 0 else 1.0)


def _prepare_as_published(
    blocks: Iterator[np.ndarray], frames: int, channel: int | None, rate: int, settings: ClipSettings
) -> Prepared:
    longest = round(settings.seconds * settings.sample_rate)
    check_length(frames, rate, settings.sample_rate, longest)  # before all of it is held in memory
    whole = np.concatenate(
        [mono_of(block, channel) / (FULL_SCALE if block.dtype == np.int16 else 1) for block in blocks]
    )
    samples = resampled(whole, rate, settings.sample_rate)
    _check_peak(peak_of(samples))
    if len(samples) < math.floor(settings.min_seconds * settings.sample_rate):
        raise BadRecording(f"too short: under {settings.min_seconds:g} s")
    return Prepared(_to_int16(samples), 0, False)


def _check_peak(peak: float) -> None:
    if not math.isfinite(peak):  # floats near their largest, which the resampler adds up
        raise BadRecording("not finite: samples as large as can be")
    if peak < SILENT:
        raise BadRecording("silent")


def _measured(blocks: Iterator[np.ndarray]) -> tuple[int, float, int | None, float]:
    """How many frames there are, the mean of all, and the channel to take where their average is none of the sound.

    Also the mean power without that mean, of full scale.
    """
    frames = 0
    sums = squares = np.zeros(1)  # of the average, then of each channel
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs
        for block in blocks:
            if block.size:
                frames += len(block)
                each = [mono_of(block, None), *(block.T if block.shape[1] > 1 else ())]
                sums = sums + [float(channel.sum(dtype=np.float64)) for channel in each]
                squares = squares + [float(np.dot(wide, wide)) for wide in (c.astype(np.float64) for c in each)]
                scale = FULL_SCALE**2 if block.dtype == np.int16 else 1
    if frames == 0:
        raise BadRecording("empty: no samples")
    if not np.isfinite(sums).all():  # one such sample is enough
        raise BadRecording("not finite: NaN or infinite samples")
    with np.errstate(over="ignore"):
        energies = squares / frames - (sums / frames) ** 2
    if len(sums) == 1:
        return frames, sums[0] / frames, None, energies[0] / scale
    count = len(energies) - 1
    # of channels that have nothing in common, the average has one part in `count` of their energy; of those of a
    # balanced line, wired to two channels, or with the poles of one swapped, it has nearly nothing
    cancelled = energies[0] < energies[1:].mean() / (10 * count)
    channel = int(np.argmax(energies[1:])) if cancelled else None
    taken = 0 if channel is None else channel + 1
    return frames, sums[taken] / frames, channel, energies[taken] / scale


def _to_int16(mono: np.ndarray) -> np.ndarray:
    most = (FULL_SCALE - 1) / FULL_SCALE
    gain = most / peak_of(mono)
    gain = 2.0 ** math.floor(math.log2(gain)) if gain > most / SOFT else min(gain, 1.0)
    return np.rint(mono * (FULL_SCALE * gain)).astype(np.int16)
