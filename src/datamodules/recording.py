"""Prepares recordings as clips for the networks: mono or of several channels, centred, trimmed, 16 bit."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from threading import Event

import numpy as np

from auscult.datamodules.audio.audio_file import BLOCK, UNREADABLE, AudioFile, BadRecording
from auscult.datamodules.audio.audio_file import read_whole as read_whole  # imported from here, too
from auscult.datamodules.audio.energy import Part, loud_part, loudest_window, peak_of, with_energy
from auscult.datamodules.audio.filters import FULL_SCALE, at_rate, highpassed, mono_of
from auscult.datamodules.audio.truncation import is_truncated as is_truncated
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.published import TooLong, check_length, resampled
from auscult.mistake import Mistake

SOFT = 2.0**-8  # of full scale, -48 dB: the peak of a louder clip keeps at least eight of the 16 bits
SILENT = 2.0**-24  # of full scale, -144 dB: half a step of 24 bits
LOWEST_RATE, HIGHEST_RATE = 100, 10**7  # hertz, of recordings: other rates are damage, or take long to resample
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010  # of the frames whose energy trimming compares
MOST_SAMPLES = 2e7  # of a clip, of all channels: seven minutes of one channel at 48 kHz
MOST_CHANNELS = 64


@dataclass(frozen=True)
class ClipSettings:
    """How recordings become clips (`data.clip` in the configuration).

    Raises:
        Mistake: a value is out of range.
    """

    sample_rate: int = 8000  # hertz
    seconds: float = 1.0  # of the longest clip; longer ones are cut to the part with most energy
    highpass_hz: float | None = 60.0  # removes hum and handling noise below; None: no filter
    trim_db: float | None = 25.0  # edges this far below the loudest frame are cut off; None keeps them
    min_seconds: float = 0.05  # shorter clips are bad recordings
    preparation: str = "cleaned"  # "untouched": offsets and levels stay; "published": see `published.py`
    short: str = "pad"  # shorter clips are embedded in silence when they are read; "repeat": repeated until full
    channels: int = 1  # of a clip; 1: mono, the average of all channels

    def __post_init__(self) -> None:
        if self.sample_rate < 100:
            raise Mistake(f"data.clip.sample_rate={self.sample_rate} is in hertz and must be 100 or more.")
        if not self.seconds > 0:
            raise Mistake(f"data.clip.seconds={self.seconds} must be above 0.")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise Mistake(f"data.clip.channels={self.channels} must be 1 (mono) to {MOST_CHANNELS}.")
        if self.seconds * self.sample_rate * self.channels > MOST_SAMPLES:
            raise Mistake(
                f"data.clip.seconds={self.seconds:g} at data.clip.sample_rate={self.sample_rate} are more than"
                f" {MOST_SAMPLES / self.channels:g} samples: choose shorter clips; recordings themselves may be of any"
                " length."
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
        if self.preparation == "untouched" and (self.highpass_hz, self.trim_db) != (None, None):
            raise Mistake(
                "data.clip.preparation=untouched neither filters nor trims: say data.clip.highpass_hz=null"
                " data.clip.trim_db=null with it."
            )
        if self.preparation == "published" and (self.highpass_hz, self.trim_db, self.short) != (None, None, "pad"):
            raise Mistake(
                "data.clip.preparation=published neither filters nor trims nor repeats clips: say"
                " data.clip.highpass_hz=null data.clip.trim_db=null data.clip.short=pad with it."
            )
        if self.preparation == "published" and self.channels != 1:
            raise Mistake("data.clip.preparation=published makes clips of one channel: leave data.clip.channels out.")
        if self.short not in ("pad", "repeat"):
            raise Mistake(
                f"data.clip.short={self.short} must be pad (silence around short clips) or repeat (until they are"
                " full)."
            )


@dataclass(frozen=True)
class Prepared:
    """A clip ready for the cache."""

    samples: (
        np.ndarray
    )  # (C, L) int16, or float32 if untouched; L is at most seconds * sample_rate, or that if repeated
    start: int  # where the kept part begins in the recording, in samples at the clip's own rate
    cut: bool  # whether the recording was too long even after trimming
    left: float = 1.0  # share of the recording's power, without its mean, after resampling and high-pass

    @property
    def waveform(self) -> np.ndarray:
        """(C, L) float32, where full scale is 1."""
        return self.samples if self.samples.dtype == np.float32 else self.samples / np.float32(FULL_SCALE)


def load(corpus: Corpus, clip: Clip, settings: ClipSettings, stopped: Event | None = None) -> Prepared:
    """Reads and prepares one recording.

    Args:
        stopped: another thread sets this when it does not need the clip any more.

    Raises:
        BadRecording: see `prepare`; also if there is no file, or it is no audio or truncated.
        Mistake: the recording is longer than a clip under data.clip.preparation=published.
    """
    try:
        return _load(corpus, clip, settings, stopped)
    except TooLong as error:
        raise Mistake(
            f"data.clip.preparation=published refuses recordings that are longer than a clip, and {clip.path} is"
            f" ({error} s): shorten it or leave it out, or say data.clip.preparation=cleaned, which cuts it."
        ) from error


def _load(corpus: Corpus, clip: Clip, settings: ClipSettings, stopped: Event | None) -> Prepared:
    # A corpus with its own `read` may not read files.
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
    """Makes a clip from a recording's samples, (frames, channels), float32 in [-1, 1] or int16.

    Channels are averaged; if they cancel each other, the loudest one is taken. With `settings.channels` above 1, they
    are kept instead, and a recording of one channel is given to all; what is loud is then judged by the energy of all
    channels, and levels between them stay. The mean of each is removed: many recordings have an offset far above the
    quietest parts of their words, which would prevent trimming. Levels are kept, with two exceptions: a clip whose peak
    does not fit into 16 bits is scaled down, and a clip whose peak is so soft (under -48 dB) that few bits would be
    left is raised by a power of two. A repeated clip begins again right after its last sample; its last repetition ends
    where the clip is full.

    With `preparation="untouched"`, the mean and all levels stay, and nothing is rounded to 16 bits, as logarithms of a
    network would hear it: what a network was trained on that did not come from here. With `preparation="published"`,
    the mean stays and another resampler is used, see `published.py`. Rounding to 16 bits, which the original did not
    do, changes a sample by half a step at most.

    Raises:
        BadRecording: the recording is empty, not finite, silent, too short after trimming, has an impossible rate, or
            neither one channel nor as many as are to be kept;
            `TooLong`, with "published".
    """
    return _prepare(lambda: iter([samples]), rate, settings)


def _prepare(blocks: Callable[[], Iterator[np.ndarray]], rate: int, settings: ClipSettings) -> Prepared:
    """See `prepare`; the recording may be longer than memory.

    Args:
        blocks: returns the recording's samples in blocks, each time from the beginning.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadRecording(f"not audio: a sample rate of {rate} Hz")
    frames, mean, channel, power = _measured(blocks(), settings.channels)
    is_untouched = settings.preparation == "untouched"
    mean = np.zeros_like(mean) if is_untouched else mean
    if settings.preparation == "published":
        return _prepare_as_published(blocks(), frames, channel, rate, settings)

    def parts() -> Iterable[Part]:
        centred = at_rate(blocks(), channel, mean, rate, settings.sample_rate)
        return with_energy(highpassed(centred, settings.sample_rate, settings.highpass_hz))

    kept = list(parts()) if frames * settings.sample_rate <= BLOCK * rate else None  # filters short ones only once
    frame, hop = (round(seconds * settings.sample_rate) for seconds in (FRAME_SECONDS, HOP_SECONDS))
    start, stop, peak, left = loud_part(kept or parts(), frame, hop, settings.trim_db)
    _check_peak(peak)
    # rounded down, as the resampler may have rounded down the length of a recording that is just long enough
    if stop - start < math.floor(settings.min_seconds * settings.sample_rate):
        raise BadRecording(f"too short: under {settings.min_seconds:g} s of sound")
    longest = round(settings.seconds * settings.sample_rate)
    begin, samples = loudest_window(kept or parts(), start, stop, min(longest, stop - start))
    if len(samples) == 0:
        raise BadRecording(f"{UNREADABLE}: it changed while it was read")
    clip = np.ascontiguousarray(samples.T, np.float32) if is_untouched else _to_int16(samples)
    whole = clip[:, np.arange(longest) % clip.shape[1]] if settings.short == "repeat" else clip
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
    return Prepared(_to_int16(samples[:, None]), 0, False)


def _check_peak(peak: float) -> None:
    if not np.isfinite(np.float32(peak)):  # the resampler's sums of nearly the largest floats overflow
        raise BadRecording("not finite: samples as large as can be")
    if peak < SILENT:
        raise BadRecording("silent")


def _measured(blocks: Iterator[np.ndarray], channels: int) -> tuple[int, np.ndarray, int | None, float]:
    """Measures a recording before it is prepared.

    Args:
        channels: C, of the clip.

    Returns:
        The number of frames; the mean of each channel that the clip keeps, (C,); the channel to take for one if
        channels cancel each other, else None; the mean power of what is kept without that mean, the sum of all
        channels, relative to full scale.
    """
    frames = 0
    sums = squares = np.zeros(1)  # of the channels' average, then of each channel
    with np.errstate(invalid="ignore", over="ignore"):  # sums of infinities of both signs
        for block in blocks:
            if channels > 1 and block.shape[1] not in (1, channels):
                raise BadRecording(f"{block.shape[1]} channels, not {channels}")
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
    if channels > 1:
        own = slice(1, None) if len(sums) > 1 else slice(None)
        return frames, np.resize(sums[own] / frames, channels), None, np.resize(energies[own], channels).sum() / scale
    if len(sums) == 1:
        return frames, sums / frames, None, energies[0] / scale
    count = len(energies) - 1
    # The average of unrelated channels has 1 / count of their energy. It has nearly none if the two poles of a balanced
    # line are two channels, or if the poles of one channel are swapped.
    cancelled = energies[0] < energies[1:].mean() / (10 * count)
    channel = int(np.argmax(energies[1:])) if cancelled else None
    taken = 0 if channel is None else channel + 1
    return frames, sums[taken, None] / frames, channel, energies[taken] / scale


def _to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples (L, C) as (C, L) int16; all channels get the same gain."""
    most = (FULL_SCALE - 1) / FULL_SCALE
    gain = most / peak_of(samples)
    gain = 2.0 ** math.floor(math.log2(gain)) if gain > most / SOFT else min(gain, 1.0)
    return np.ascontiguousarray(np.rint(samples.T * (FULL_SCALE * gain)).astype(np.int16))
