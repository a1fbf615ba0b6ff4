"""Turns a recording, a file or samples, into the waveform that a model is given."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from auscult.datamodules.audio.audio_file import BadRecording, read_whole
from auscult.datamodules.recording import FULL_SCALE, LOWEST_RATE, MOST_CHANNELS, ClipSettings, prepare
from auscult.mistake import Mistake

ABOVE_FULL_SCALE = 16  # whole numbers beyond this were integers once
LOUDEST = 1000  # 60 dB above full scale: no recording of floats is as loud


def whole(frames: int, rate: int, sample_rate: int, channels: int) -> ClipSettings:
    """Settings that mix or keep a recording's channels and resample it, and leave the rest untouched.

    Args:
        frames: length of the recording.
        rate: sample rate of the recording, in hertz.
        sample_rate: sample rate of the result, in hertz.
        channels: of the result.
    """
    seconds = frames / rate + 1  # the resampler may round the length up
    how: dict[str, Any] = {"highpass_hz": None, "trim_db": None, "min_seconds": 0.0, "preparation": "untouched"}
    return ClipSettings(sample_rate, seconds, channels=channels, **how)


def clip_of(samples: np.ndarray, rate: int, settings: ClipSettings, place: float = 0.5) -> tuple[np.ndarray, bool]:
    """Prepares a recording as the clips of a network were prepared.

    Args:
        samples: (frames, channels), float32 in [-1, 1] or int16.
        rate: sample rate of the recording, in hertz.
        settings: how the network's clips were prepared.
        place: of a short recording in the silence of its clip: 0 is the start, 0.5 the middle.

    Returns:
        (C, T) float32, and whether the recording was too long, so that only the part with the most energy is left.

    Raises:
        BadRecording: see `prepare`.
    """
    prepared = prepare(samples, rate, settings)
    length = prepared.samples.shape[1]
    clip = np.zeros((settings.channels, round(settings.seconds * settings.sample_rate)), np.float32)
    offset = int((clip.shape[1] - length) * place)
    clip[:, offset : offset + length] = prepared.waveform
    return clip, prepared.cut


def waveform_of(
    recording: str | Path | Tensor | np.ndarray,
    rate: int | None,
    sample_rate: int,
    settings: ClipSettings | None,
    place: float = 0.5,
    channels: int = 1,
) -> tuple[np.ndarray, bool]:
    """The waveform of a recording.

    Args:
        recording: a file; or samples (T,), or (channels, T) as torchaudio has them, in [-1, 1] or int16.
        rate: sample rate of the samples, in hertz. Samples without a rate are a waveform already, and stay as they are.
        sample_rate: sample rate of the waveform, in hertz.
        settings: how the network's clips were prepared; None: only the channels and the rate change.
        channels: C, of the waveform; 1: the recording's channels are mixed.

    Returns:
        (C, T) float32, and whether the recording was too long, so that only the part with the most energy is left.

    Raises:
        Mistake: the recording cannot be read or used, or its length is not that of the network's clips.
    """
    if isinstance(recording, str | Path):
        samples, own_rate = read(Path(recording).expanduser(), rate)
    elif rate is None:
        return as_it_is(channels_of(recording), sample_rate, settings, channels), False
    elif isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < LOWEST_RATE:
        raise Mistake(f"sample_rate={rate} is not a whole number of {LOWEST_RATE} Hz or more.")
    else:
        samples, own_rate = np.ascontiguousarray(channels_of(recording).T), int(rate)
        check_scale(samples)
    try:
        if settings is not None:
            return clip_of(samples, own_rate, settings, place)
        prepared = prepare(samples, own_rate, whole(len(samples), own_rate, sample_rate, channels))
        return prepared.waveform, False
    except BadRecording as reason:
        name = recording if isinstance(recording, str | Path) else "the recording"
        raise Mistake(f"{name} cannot be listened to ({reason}); choose another recording.") from reason


def read(path: Path, rate: int | None) -> tuple[np.ndarray, int]:
    """The samples of a file, (frames, channels), and their rate in hertz.

    Raises:
        Mistake: there is no such recording, or its rate is not the given rate.
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
    """Converts samples to (channels, T), float32 or int16.

    Raises:
        Mistake: the recording is no tensor or array, or its shape or type is wrong.
    """
    if not isinstance(recording, Tensor | np.ndarray):
        raise Mistake(f"a {type(recording).__name__} is no recording; give the path of a file, a tensor or an array.")
    if isinstance(recording, Tensor) and str(recording.dtype) == "torch.bfloat16":  # which NumPy does not have
        recording = recording.float()
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


def check_scale(samples: np.ndarray) -> None:
    """Raises a Mistake if samples, of any shape, are floats and integers by their size."""
    peak = 0.0 if samples.dtype == np.int16 else float(np.abs(samples).max())
    whole_numbers = peak > ABOVE_FULL_SCALE and bool((samples == samples.round()).all())
    if np.isfinite(peak) and (peak > LOUDEST or whole_numbers):
        raise Mistake(
            f"the samples reach {peak:g}, and floats are to lie in [-1, 1]: give samples of 16 bits as int16, or divide"
            " them by their full scale, 32768."
        )


def as_it_is(samples: np.ndarray, sample_rate: int, settings: ClipSettings | None, channels: int) -> np.ndarray:
    """Converts samples (C, T) that are a waveform already to float32, (C, T).

    Raises:
        Mistake: they have another number of channels, are not finite, or do not have the length of the network's clips.
    """
    way_out = "add sample_rate=…, so that it is prepared as the network's recordings were"
    if len(samples) != channels:
        of_network = "one channel" if channels == 1 else f"{channels} channels"
        raise Mistake(f"a waveform of this network has {of_network}, not {len(samples)}; {way_out}.")
    waveform = samples / np.float32(FULL_SCALE) if samples.dtype == np.int16 else samples
    if not np.isfinite(waveform).all():
        raise Mistake("the waveform is not finite; remove NaN and infinite values.")
    if settings is not None:  # a network of the user's own may take any scale
        check_scale(samples)
    length = None if settings is None else round(settings.seconds * settings.sample_rate)
    if length is not None and waveform.shape[1] != length:
        raise Mistake(
            f"the waveform has {waveform.shape[1]} samples, but the network's clips have {length}"
            f" ({length / sample_rate:g} s at {sample_rate} Hz); {way_out}."
        )
    return np.ascontiguousarray(waveform)
