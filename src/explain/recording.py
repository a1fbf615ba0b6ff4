"""A recording as the waveform that a model is asked of: a file, or samples that are at hand."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from auscult.datamodules.audio.audio_file import BadRecording, read_whole
from auscult.datamodules.recording import FULL_SCALE, ClipSettings, prepare
from auscult.mistake import Mistake

MOST_CHANNELS = 64


def whole(frames: int, rate: int, sample_rate: int) -> ClipSettings:
    """Settings under which a recording becomes mono, loses its offset and is resampled, and nothing is cut off."""
    seconds = frames / rate + 1  # whatever the resampler rounds to
    return ClipSettings(sample_rate, seconds, highpass_hz=None, trim_db=None, min_seconds=0.0)


def clip_of(samples: np.ndarray, rate: int, settings: ClipSettings) -> tuple[np.ndarray, bool]:
    """A recording, prepared as a network's own clips were, in the middle of its frame.

    Args:
        samples: (frames, channels), float32 in [-1, 1] or int16.
        rate: of the samples, in hertz.
        settings: of the network's clips.

    Returns:
        (T,) float32, and whether the recording was too long and has been cut around its energy.

    Raises:
        BadRecording: see `prepare`.
    """
    prepared = prepare(samples, rate, settings)
    clip = np.zeros(round(settings.seconds * settings.sample_rate), np.float32)
    offset = (len(clip) - len(prepared.samples)) // 2
    clip[offset : offset + len(prepared.samples)] = prepared.samples / np.float32(FULL_SCALE)
    return clip, prepared.cut


def waveform_of(
    recording: str | Path | Tensor | np.ndarray, rate: int | None, sample_rate: int, settings: ClipSettings | None
) -> tuple[np.ndarray, bool]:
    """The waveform of a recording.

    Args:
        recording: a file; or samples (T,), or (channels, T) as torchaudio has them, in [-1, 1] or int16.
        rate: of the samples, in hertz. Samples without a rate are a waveform already, and stay as they are.
        sample_rate: of the waveform, in hertz.
        settings: of the network's clips; None: only the channels, the offset and the rate change.

    Returns:
        (T,) float32, and whether the recording was too long and has been cut around its energy.

    Raises:
        Mistake: it cannot be read or used, or is of another length than the network's clips.
    """
    if isinstance(recording, str | Path):
        samples, own_rate = read(Path(recording).expanduser(), rate)
    elif rate is None:
        return as_it_is(channels_of(recording), sample_rate, settings), False
    elif isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate <= 0:
        raise Mistake(f"sample_rate={rate} is not a whole number of hertz.")
    else:
        samples, own_rate = np.ascontiguousarray(channels_of(recording).T), int(rate)
    try:
        if settings is not None:
            return clip_of(samples, own_rate, settings)
        prepared = prepare(samples, own_rate, whole(len(samples), own_rate, sample_rate))
        return prepared.samples / np.float32(FULL_SCALE), False
    except BadRecording as reason:
        name = recording if isinstance(recording, str | Path) else "the recording"
        raise Mistake(f"{name} cannot be listened to ({reason}); choose another recording.") from reason


def read(path: Path, rate: int | None) -> tuple[np.ndarray, int]:
    """The samples of a file, (frames, channels), and their rate in hertz.

    Raises:
        Mistake: there is no such recording, or it has another rate than is said.
    """
    if not path.is_file():
        raise Mistake(f"{path} is not a file; name a recording.")
    try:
        samples, own_rate = read_whole(path)
    except BadRecording as reason:
        raise Mistake(f"{path} cannot be listened to ({reason}); choose another recording.") from reason
    if rate is not None and rate != own_rate:
        raise Mistake(f"{path} has a rate of {own_rate} Hz, not sample_rate={rate}; leave sample_rate out.")
    return samples, own_rate


def channels_of(recording: Any) -> np.ndarray:
    """Samples as (channels, T), float32 or int16.

    Raises:
        Mistake: they are none, or of another shape.
    """
    if not isinstance(recording, Tensor | np.ndarray):
        raise Mistake(f"a {type(recording).__name__} is no recording; give the path of a file, a tensor or an array.")
    samples = recording.detach().cpu().numpy() if isinstance(recording, Tensor) else recording
    if samples.ndim == 3 and len(samples) == 1:
        samples = samples[0]  # a batch of one
    samples = samples[None] if samples.ndim == 1 else samples
    if samples.ndim != 2 or not samples.size or len(samples) > MOST_CHANNELS:
        raise Mistake(
            f"samples of the shape {tuple(recording.shape)} are not one recording; give samples (T,), or (channels, T)"
            " with the channels first."
        )
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise Mistake(f"samples of the type {samples.dtype} have no known scale; give floats in [-1, 1], or int16.")
    return samples if samples.dtype == np.int16 else samples.astype(np.float32)


def as_it_is(channels: np.ndarray, sample_rate: int, settings: ClipSettings | None) -> np.ndarray:
    """The waveform (T,) float32 of samples (1, T) that have the network's rate and length already.

    Raises:
        Mistake: they have not.
    """
    way_out = "say its sample_rate=…, and it is prepared as the network's recordings were"
    if len(channels) != 1:
        raise Mistake(f"a waveform of {len(channels)} channels is none that a network is given; {way_out}.")
    waveform = channels[0] / np.float32(FULL_SCALE) if channels.dtype == np.int16 else channels[0]
    if not np.isfinite(waveform).all():
        raise Mistake("the waveform is not finite; take out what is NaN or infinite.")
    length = None if settings is None else round(settings.seconds * settings.sample_rate)
    if length is not None and len(waveform) != length:
        raise Mistake(
            f"a waveform of {len(waveform)} samples is not of the network's {length} ({length / sample_rate:g} s at"
            f" {sample_rate} Hz); {way_out}."
        )
    return np.ascontiguousarray(waveform)
