"""Makes relevance audible: a clip sounds where the network relied on it, and as loud as it relied on it.

The sound of the paper is positive relevance times waveform (Becker et al., arXiv 1807.03418). Relevance of samples is a
gain on the samples. Relevance of a spectrogram is a gain on the short-time Fourier transform of the clip.
"""

import io
from functools import cache, partial

import numpy as np
import soundfile
import torch
from scipy import signal
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter1d

from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram
from auscult.modules.front_end import FrontEnd

PEAK = 0.97  # highest peak, as a share of full scale
FADE_SECONDS = 0.005
SMOOTHING_HZ = 8.0
SMOOTHING_SECONDS = 0.005
BACKGROUND_DB = -20.0  # level of the original in the blend, relative to the positive sound
# A sound with a peak below this share of the clip's peak is a rounding error, or relevance of near silence. At the
# loudness of the clip, it would sound as if it meant something.
NEGLIGIBLE = 1e-4
# loudness uses blocks of this length, with at least this share of the power of the loudest block
BLOCK_SECONDS, GATE = 0.1, 0.1


def sounds(
    waveform: np.ndarray,
    relevance: np.ndarray,
    sample_rate: int,
    smoothing: float = SMOOTHING_SECONDS,
    frequencies: np.ndarray | None = None,
    times: np.ndarray | None = None,
    front_end: FrontEnd | None = None,
    is_spectrum: bool = False,
) -> dict[str, np.ndarray]:
    """A clip and its audible relevance, by name, all equally loud.

    - `original`: the clip.
    - `positive`: what speaks for the target: the waveform, or its transform, with positive relevance as a gain.
    - `negative`: what speaks against the target.
    - `positive left, negative right`: both at once, with their relative strengths.
    - `blend`: `positive`, with the original 20 dB below it.

    One hears the shape of relevance, not its scale: every sound has the `loudness` of the original. If one sound
    exceeds 0.97 of full scale, all sounds of the clip are made quieter by the same factor (in the published form by
    7 dB in the median, 14 dB at most, over 48 clips of AudioMNIST_AZ). No sound is limited or clipped. All fade in
    and out over 5 ms. If there is no relevance of a sign, its sound is silence.

    Args:
        waveform: (T,) in [-1, 1].
        relevance: of the waveform (T,), of a spectrogram (F, N), or of its Fourier transform (T // 2 + 1,).
        sample_rate: in hertz.
        smoothing: standard deviation, in seconds, of a Gaussian that smooths relevance of samples. 0 is the published
            form: relevance jumps from sample to sample, which sounds like crackling. With 0.005 relevance becomes an
            envelope, and speech sounds like speech. Medians over 40 clips of AudioMNIST_AZ, AudioNet: spectra in
            decibels correlate with those of the clips at 0.95 instead of 0.67, sounds have 0.85 instead of 2.8 times
            the clips' share of power above 2 kHz, and their level over 20 ms correlates with that of the published
            form at 0.99 (synthetic clips: `tests/explain/show/test_listening.py`). Relevance that cancels within that
            time is not heard. Relevance of spectrograms is not smoothed.
        frequencies: (F,), frequencies of a spectrogram's rows, in hertz, ascending; None: those of
            `DecibelSpectrogram`.
        times: (N,), times of its columns, in seconds from the start of the clip, ascending; None: as above.
        front_end: the front end, if each of its bins is a sum over bins of a transform, as in mel spectrograms.
            Relevance is then a gain on that transform, see `as_gain`.
        is_spectrum: relevance is that of the Fourier transform, and a gain on it, averaged over a Gaussian of 8 Hz.
            Without the average, gains would jump from coefficient to coefficient and smear the sound over the whole
            clip; with it, the smear stays within 20 ms.

    Returns:
        float32, (T,) each; the one with left and right (T, 2).

    Raises:
        Mistake: the relevance is not finite.
        ValueError: the shapes do not fit each other, or the waveform is not finite.
    """
    clip, gain = np.asarray(waveform, np.float64), np.asarray(relevance, np.float64)
    if clip.ndim != 1 or not np.isfinite(clip).all():
        raise ValueError(f"a clip is finite samples of shape (T,), these are of {clip.shape}")
    if not np.isfinite(gain).all():
        raise Mistake("the relevance is not finite: choose another attribution, or a checkpoint with finite weights.")
    size, hop = DecibelSpectrogram.window, DecibelSpectrogram.hop
    if gain.ndim == 2 and front_end is not None:
        gain, size, hop = as_gain(gain, front_end, len(clip)), front_end.window, front_end.hop
    elif gain.ndim == 2:
        gain = on_transform(gain, len(clip), sample_rate, frequencies, times)
    elif is_spectrum:
        gain = gaussian_filter1d(gain, SMOOTHING_HZ * len(clip) / sample_rate)
    elif smoothing > 0:
        gain = gaussian_filter1d(gain, smoothing * sample_rate, mode="nearest")
    gain = gain / np.abs(gain).max(initial=np.finfo(np.float64).tiny)
    hear = partial(filtered, clip) if is_spectrum else partial(heard, clip, size=size, hop=hop)
    positive, negative = (hear(np.maximum(part, 0)) for part in (gain, -gain))
    original, target = _faded(clip, sample_rate), loudness(_faded(clip, sample_rate), sample_rate)
    parts = {
        "positive": positive,
        "negative": negative,
        "positive left, negative right": np.stack([positive, negative], axis=1),
    }
    parts = {name: _at_loudness(_faded(part, sample_rate), target, sample_rate) for name, part in parts.items()}
    blend = parts["positive"] + 10 ** (BACKGROUND_DB / 20) * original
    # without positive relevance, the original stays 20 dB below
    parts["blend"] = _at_loudness(blend, target, sample_rate) if positive.any() else blend
    parts = {"original": original, **parts}
    peak = max(np.abs(sound).max(initial=PEAK) for sound in parts.values())
    return {name: (PEAK / peak * sound).astype(np.float32) for name, sound in parts.items()}


def heard(
    clip: np.ndarray, gain: np.ndarray, size: int = DecibelSpectrogram.window, hop: int = DecibelSpectrogram.hop
) -> np.ndarray:
    """Applies gains from 0 to 1 to a clip (T,): to its samples (T,) or to its short-time transform (K, frames).

    Args:
        clip: (T,).
        gain: (T,) or (K, frames).
        size, hop: window and hop of the transform, in samples.

    Raises:
        ValueError: the shape of the gains does not fit the clip.
    """
    if gain.ndim == 2:
        sound = _through_transform(clip, gain, size, hop)
    elif gain.shape == clip.shape:
        sound = clip * gain
    else:
        raise ValueError(f"relevance of shape {gain.shape} is not of a clip of {len(clip)} samples")
    return audible_beside(clip, sound)


def filtered(clip: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Applies gains from 0 to 1 to the Fourier transform (T // 2 + 1,) of a clip (T,)."""
    return audible_beside(clip, np.fft.irfft(np.fft.rfft(clip) * gain, n=len(clip)))


def audible_beside(clip: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """The sound, or silence if the sound is negligible compared with the clip."""
    is_negligible = np.abs(sound).max(initial=0) <= NEGLIGIBLE * np.abs(clip).max(initial=0)
    return np.zeros_like(clip) if is_negligible else sound


def on_transform(
    gain: np.ndarray, samples: int, sample_rate: int, frequencies: np.ndarray | None, times: np.ndarray | None
) -> np.ndarray:
    """Interpolates values (F, N) at `frequencies` and `times` on the short-time transform of a clip, (228, frames).

    The transform is that of `DecibelSpectrogram`; values on its grid do not change. The interpolation is linear. Bins
    outside the given values get the value of the nearest bin, which covers the same samples. Such bins are the highest
    frequency and the first frames, which `DecibelSpectrogram` crops.

    Raises:
        ValueError: the shape of the values does not fit the frequencies and times, or the number of samples.
    """
    front_end = DecibelSpectrogram(sample_rate)
    if frequencies is None or times is None:
        frequencies, times = front_end.frequencies.numpy(), front_end.times.numpy()
        if samples != front_end.samples:
            raise ValueError(f"a clip of {samples} samples has no DecibelSpectrogram; give frequencies and times")
    rows = np.arange(front_end.window // 2 + 1) * sample_rate / front_end.window  # hertz
    columns = np.arange((samples - 1) // front_end.hop + 1) * front_end.hop / sample_rate  # seconds
    inside = rows.clip(frequencies[0], frequencies[-1]), columns.clip(times[0], times[-1])
    return RegularGridInterpolator((frequencies, times), gain)(tuple(np.meshgrid(*inside, indexing="ij")))


def as_gain(relevance: np.ndarray, front_end: FrontEnd, samples: int) -> np.ndarray:
    """Converts relevance of a front end's bins (F, N) to a gain on the transform of a clip of T samples, (K, frames).

    `front_end.spread` gives each bin of the transform a share of the relevance. In a wide band the shares are smaller,
    as more bins share the relevance, and the band would sound quieter than a narrow one with the same relevance. So the
    gain is the share divided by the share under even relevance: the mean relevance of the bands that contain the bin.
    A bin that no band contains is silent, and so is what the front end cuts off.
    Relevance behind the clip has no sound.
    """
    spread, even = (
        front_end.spread(torch.from_numpy(part)).double().numpy() for part in (relevance, np.ones_like(relevance))
    )
    gain = np.divide(spread, even, out=np.zeros_like(spread), where=even > 0)
    frames = (samples - front_end.window % 2) // front_end.hop + 1
    return np.pad(gain[:, :frames], ((0, 0), (0, max(0, frames - gain.shape[1]))))


def loudness(samples: np.ndarray, sample_rate: int) -> float:
    """K-weighted mean square, after ITU-R BS.1770, of a sound (T,) or (T, channels); 0 for silence.

    Words are shorter than the blocks of the standard, 400 ms. So blocks here last 100 ms and start every 25 ms. Blocks
    more than 10 dB below the loudest one are left out: silence around a word does not count. Channels are averaged, so
    that a mono sound is as loud as the same sound on left and right.
    """
    weighted = signal.sosfilt(k_weighting(sample_rate), samples, axis=0) ** 2
    power = weighted.reshape(len(samples), -1).mean(axis=1)
    block = min(round(BLOCK_SECONDS * sample_rate), len(power))
    energy_before = np.concatenate(([0.0], np.cumsum(power)))
    blocks = (energy_before[block:] - energy_before[:-block])[:: max(1, block // 4)] / block
    return float(blocks[blocks >= GATE * blocks.max()].mean())


@cache
def k_weighting(sample_rate: int) -> np.ndarray:
    """Filter sections (2, 6) of the K-weighting: a shelf of +4 dB above about 1.5 kHz and a high-pass at 38 Hz.

    ITU-R BS.1770-4 tabulates them at 48 kHz; these are the analogue filters behind that table, as in libebur128.
    """
    shelf, highpass = (np.tan(np.pi * corner / sample_rate) for corner in (1681.974450955533, 38.13547087602444))
    damping, resistance = 1 / 0.7071752369554196, 1 / 0.5003270373238773
    high, middle = 10 ** (3.999843853973347 / 20), 10 ** (3.999843853973347 / 20 * 0.4996667741545416)
    raised = [high + middle * damping * shelf + shelf**2, 2 * (shelf**2 - high)]
    raised += [high - middle * damping * shelf + shelf**2]
    poles = [
        [1 + d * k + k**2, 2 * (k**2 - 1), 1 - d * k + k**2] for k, d in ((shelf, damping), (highpass, resistance))
    ]
    sections = np.array([raised + poles[0], [1.0, -2.0, 1.0] + poles[1]])  # (2, 6)
    sections[0] /= poles[0][0]
    sections[1, 3:] /= poles[1][0]  # the standard leaves the high-pass's numerator as it is
    return sections if sample_rate > 2 * 1682 else sections[1:]  # at lower rates there is nothing to raise


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """A 16-bit WAV file of samples in [-1, 1], (T,) or (T, channels)."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _through_transform(clip: np.ndarray, gain: np.ndarray, size: int, hop: int) -> np.ndarray:
    window = torch.hann_window(size, dtype=torch.float64)
    transform = torch.stft(torch.tensor(clip), size, hop, window=window, pad_mode="constant", return_complex=True)
    return torch.istft(transform * torch.from_numpy(gain), size, hop, window=window, length=len(clip)).numpy()


def _faded(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Fades a sound in from exact zero and out to exact zero, each over half a period of a cosine."""
    length = min(max(1, round(FADE_SECONDS * sample_rate)), len(sound) // 2)
    envelope = np.ones(len(sound))
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)
    envelope[:length], envelope[len(sound) - length :] = rise, rise[::-1]
    return (sound.T * envelope).T


def _at_loudness(sound: np.ndarray, target: float, sample_rate: int) -> np.ndarray:
    own = loudness(sound, sample_rate)
    return np.sqrt(target / own) * sound if own > 0 else np.zeros_like(sound)
