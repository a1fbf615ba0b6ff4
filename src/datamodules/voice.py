"""A speaking voice: ten English words by the source-filter model of speech.

Glottal pulses and noise (the source) pass through formant resonators (the tract), which move from one phone's
targets to the next. `articulate` decides every trajectory, and `speak` turns trajectories into samples. So the
trajectories tell exactly where a harmonic or a formant lies.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

RATE = 16_000  # Hz
HOP = 128  # samples between frames, 8 ms, during which the tract does not move
FFT = 768  # samples; leaves 32 ms behind each frame, in which the resonators decay

# Bandwidths: between those of the vowels in Klatt (1980), J. Acoust. Soc. Am. 67, table II. Upper formants: a uniform
# tube of 17.5 cm.
UPPER_FORMANTS_HZ = (3500.0, 4500.0, 5500.0, 6500.0)
BANDWIDTHS_HZ = np.array([60.0, 90.0, 140.0, 200.0, 250.0, 300.0, 350.0])
NASAL_POLE_HZ, NASAL_ZERO_HZ, NASAL_BANDWIDTH_HZ = 270.0, 450.0, 100.0


@dataclass(frozen=True)
class Phone:
    """Targets of one speech sound in a man's voice."""

    formants: tuple[float, float, float]  # Hz
    voicing: float = 1.0  # amplitude of the glottal pulses, relative to a stressed vowel's
    aspiration: float = 0.0  # amplitude of noise from the larynx, which passes the formants; relative to the same
    frication: float = 0.0  # root mean square of noise from a constriction in the mouth
    noise: tuple[float, float] | None = None  # frication's centre and bandwidth, Hz
    nasal: float = 0.0  # 1 opens the nose


# Vowels: Peterson & Barney (1952), J. Acoust. Soc. Am. 24, table II, men; ends of diphthongs and consonants:
# Klatt (1980), tables II and III. Spectra of frication: Jongman et al. (2000), J. Acoust. Soc. Am. 108.
PHONES = {
    "i": Phone((270, 2290, 3010)),
    "I": Phone((390, 1990, 2550)),
    "E": Phone((530, 1840, 2480)),
    "V": Phone((640, 1190, 2390)),
    "O": Phone((570, 840, 2410)),
    "u": Phone((300, 870, 2240)),
    "@": Phone((500, 1400, 2400), voicing=0.6),
    "a": Phone((730, 1090, 2440)),
    "aI": Phone((400, 1880, 2500), voicing=0.9),
    "e": Phone((480, 1720, 2520)),
    "eI": Phone((330, 2020, 2600), voicing=0.9),
    "o": Phone((540, 1100, 2300)),
    "oU": Phone((450, 900, 2300), voicing=0.8),
    "w": Phone((290, 610, 2150), voicing=0.6),
    "r": Phone((310, 1060, 1380), voicing=0.6),
    "R": Phone((490, 1350, 1690), voicing=0.7),
    "n": Phone((480, 1340, 2470), voicing=0.5, nasal=1),
    "v": Phone((220, 1100, 2080), voicing=0.3, frication=0.06, noise=(6000, 6000)),
    "z": Phone((240, 1390, 2530), voicing=0.3, frication=0.2, noise=(4800, 2200)),
    "s": Phone((320, 1390, 2530), voicing=0, frication=0.4, noise=(4800, 2200)),
    "f": Phone((340, 1100, 2080), voicing=0, frication=0.12, noise=(6000, 6000)),
    "T": Phone((320, 1290, 2540), voicing=0, frication=0.1, noise=(5000, 5000)),
    "silence t": Phone((400, 1600, 2600), voicing=0),
    "burst t": Phone((400, 1600, 2600), voicing=0, frication=0.5, noise=(4200, 2500)),
    "breath t": Phone((400, 1600, 2600), voicing=0, aspiration=0.25, frication=0.1, noise=(4200, 2500)),
    "silence k": Phone((300, 1990, 2850), voicing=0),
    "burst k": Phone((300, 1990, 2850), voicing=0, frication=0.4, noise=(2300, 700)),
}

# Phones of the words "zero" to "nine" and their durations in milliseconds at an ordinary tempo.
WORDS: tuple[tuple[tuple[str, float], ...], ...] = (
    (("z", 95), ("I", 80), ("r", 70), ("o", 120), ("oU", 130)),
    (("w", 90), ("V", 160), ("n", 140)),
    (("burst t", 14), ("breath t", 55), ("u", 290)),
    (("T", 110), ("r", 70), ("i", 250)),
    (("f", 110), ("O", 200), ("R", 140)),
    (("f", 105), ("a", 150), ("aI", 120), ("v", 95)),
    (("s", 130), ("I", 95), ("silence k", 65), ("burst k", 16), ("s", 150)),
    (("s", 120), ("E", 105), ("v", 60), ("@", 70), ("n", 120)),
    (("e", 130), ("eI", 120), ("silence t", 70), ("burst t", 14), ("breath t", 60)),
    (("n", 95), ("a", 140), ("aI", 120), ("n", 115)),
)
WORD_SECONDS = (0.35, 0.9)  # words that would be shorter or longer are spoken slower or faster


@dataclass(frozen=True)
class Voice:
    """The properties of a speaker, which are the same in all recordings."""

    f0: float  # Hz
    tract: float  # factor on the formants of PHONES; above 1 for a tract shorter than a man's
    tempo: float  # factor on the durations of WORDS
    open_quotient: float  # part of a cycle during which the glottis is open
    tilt_hz: float  # the source falls by another 6 dB per octave above this (return phase of the glottis)
    breath: float  # amplitude of the open glottis's noise, relative to the voiced source
    accent: np.ndarray  # (phones, 3) factors on the formants of PHONES, in that order


@dataclass(frozen=True)
class Utterance:
    """The trajectories of a spoken word, per sample (T,) or frame (F,); frame i is at sample i * HOP."""

    voice: Voice
    edges: np.ndarray  # (phones + 1,) s, where phones begin and end
    f0: np.ndarray  # (T,) Hz, without jitter
    voicing: np.ndarray  # (T,) amplitude
    aspiration: np.ndarray  # (T,) amplitude
    frication: np.ndarray  # (T,) root mean square
    formants: np.ndarray  # (F, 7) Hz
    nasal: np.ndarray  # (F,) from 0 to 1
    noise: np.ndarray  # (F, 2) frication's centre and bandwidth, Hz


def articulate(word: int, voice: Voice, rng: np.random.Generator) -> Utterance:
    """Draws one recording of a word: its tempo, intonation and small deviations from the targets."""
    names, milliseconds = zip(*WORDS[word], strict=True)
    phones, durations = [PHONES[name] for name in names], np.array(milliseconds) / 1000
    durations *= voice.tempo * np.exp(0.06 * rng.standard_normal() + 0.1 * rng.standard_normal(len(phones)))
    durations *= np.clip(durations.sum(), *WORD_SECONDS) / durations.sum()
    before, after = rng.uniform(0.04, 0.12, 2)
    edges = before + np.concatenate([[0.0], durations.cumsum()])
    seconds = np.arange(round((edges[-1] + after) * RATE)) / RATE  # (T,)
    frames = seconds[::HOP]  # (F,)

    rows = [list(PHONES).index(name) for name in names]
    targets = np.array([phone.formants for phone in phones]) * voice.accent[rows]
    targets *= np.exp(0.03 * rng.standard_normal(targets.shape))
    lower = np.stack([_glide(frames, edges, track) for track in targets.T], axis=1)  # (F, 3)
    upper = np.tile(UPPER_FORMANTS_HZ, (len(frames), 1))

    envelope = _rise((seconds - edges[0]) / 0.03) * _rise((edges[-1] - seconds) / 0.1)
    along = np.clip((seconds - edges[0]) / (edges[-1] - edges[0]), 0, 1)
    semitones = rng.uniform(2, 5) * (0.3 - along**2) + 0.5 * rng.standard_normal()
    return Utterance(
        voice=voice,
        edges=edges,
        f0=voice.f0 * 2 ** (semitones / 12),
        voicing=envelope * _hold(seconds, edges, [phone.voicing for phone in phones]),
        aspiration=envelope * _hold(seconds, edges, [phone.aspiration for phone in phones]),
        frication=envelope**0.5 * _hold(seconds, edges, [phone.frication for phone in phones]),
        formants=np.concatenate([lower, upper], axis=1) * voice.tract,
        nasal=_glide(frames, edges, np.array([phone.nasal for phone in phones])),
        noise=_nearest_noise(frames, edges, phones),  # depends on the cavity before the tongue, not on the tract
    )


def speak(utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """Makes the samples (T,) of an utterance; a stressed vowel has a root mean square near 2."""
    glottis, opening = _glottis(utterance, rng)
    breath = utterance.aspiration + utterance.voice.breath * utterance.voicing * opening
    hiss = np.diff(rng.standard_normal(len(breath) + 1)) / np.sqrt(2)  # lips radiate high frequencies best
    larynx = glottis * utterance.voicing + breath * hiss
    mouth = utterance.frication * rng.standard_normal(len(breath))
    spectra = _frames(larynx) * tract_response(utterance) + _frames(mouth) * noise_response(utterance.noise)
    pieces = fft.irfft(spectra, FFT).reshape(len(spectra), -1, HOP)  # (F, FFT / HOP, HOP)
    overlap = pieces.shape[1]
    summed = np.zeros((len(spectra) + overlap, HOP))
    for lag in range(overlap):
        summed[lag : lag + len(pieces)] += pieces[:, lag]
    return summed.ravel()[HOP : HOP + len(larynx)]


def tract_response(utterance: Utterance) -> np.ndarray:
    """Complex gain (F, FFT / 2 + 1) from larynx to lips, 1 at 0 Hz: resonators in cascade (Klatt 1980)."""
    poles = np.ones((len(utterance.formants), 1))
    for section in np.moveaxis(_resonator(utterance.formants, BANDWIDTHS_HZ), 1, 0):
        poles = _times(poles, section)
    poles = _times(poles, _resonator(np.array([NASAL_POLE_HZ]), NASAL_BANDWIDTH_HZ))
    zero_hz = NASAL_POLE_HZ + utterance.nasal * (NASAL_ZERO_HZ - NASAL_POLE_HZ)  # at the pole, the two cancel
    zeros = _resonator(zero_hz, NASAL_BANDWIDTH_HZ)
    gain = poles.sum(1, keepdims=True) / zeros.sum(1, keepdims=True)
    return fft.rfft(gain * zeros, FFT) / fft.rfft(poles, FFT)


def noise_response(noise: np.ndarray) -> np.ndarray:
    """Complex gain (F, FFT / 2 + 1) of frication, of power 1; `noise` has centres and bandwidths (F, 2) in Hz."""
    distinct, rows = np.unique(noise, axis=0, return_inverse=True)
    poles = _resonator(distinct[:, 0], distinct[:, 1])
    response = fft.rfft([1.0, -1.0], FFT) / fft.rfft(poles, FFT)  # radiation: none of it at 0 Hz
    response /= np.sqrt(np.mean(np.abs(response) ** 2, axis=1, keepdims=True))
    return response[rows]


def _glottis(utterance: Utterance, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the glottal flow (T,), root mean square 1, and how far the glottis is open (T,), from 0 to 1.

    Rosenberg (1971), J. Acoust. Soc. Am. 49, pulse C, with the return phase of the LF model (Fant et al. 1985) as a
    first-order low-pass. A cycle contains only harmonics below half the rate, so that nothing aliases.
    """
    voice, size = utterance.voice, 2048
    cycle = np.arange(size) / size / voice.open_quotient
    rise, fall = 0.75, 0.25  # parts of the open phase
    opening = 0.5 * (1 - np.cos(np.pi * cycle / rise))
    closing = np.cos(0.5 * np.pi * (cycle - rise) / fall)
    flow = np.where(cycle < rise, opening, np.where(cycle < 1, closing, 0.0))
    harmonics = np.arange(size // 2 + 1)
    spectrum = fft.rfft(flow) * harmonics * 1j / (1 + 1j * harmonics * voice.f0 / voice.tilt_hz)
    spectrum[int(0.48 * RATE / utterance.f0.max()) :] = 0
    pulse = fft.irfft(spectrum)
    pulse /= np.sqrt(np.mean(pulse**2))
    steady = utterance.f0.cumsum() / RATE  # cycles
    cycles = np.arange(int(steady[-1]) + 2)
    jitter = np.interp(steady, cycles, 0.007 * rng.standard_normal(len(cycles)))
    shimmer = np.interp(steady, cycles, 1 + 0.05 * rng.standard_normal(len(cycles)))
    phase = np.cumsum(utterance.f0 * (1 + jitter)) / RATE % 1
    ends = np.arange(size + 1) / size
    return shimmer * np.interp(phase, ends, np.append(pulse, pulse[0])), np.interp(phase, ends[:-1], flow)


def _frames(samples: np.ndarray) -> np.ndarray:
    """Spectra (F, FFT / 2 + 1) of frames around multiples of HOP; the frames sum to the samples (T,)."""
    padded = np.pad(samples, (HOP, 2 * HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP][: -(-len(samples) // HOP)]
    from scipy.signal.windows import hann  # only here: it takes a second to import

    window = hann(2 * HOP, sym=False)  # this window and the next one sum to 1
    return fft.rfft(windows * window, FFT)


def _resonator(hertz: np.ndarray, bandwidth: np.ndarray | float) -> np.ndarray:
    """Denominators (..., 3) of second-order resonators, in powers of 1/z."""
    radius = np.exp(-np.pi * bandwidth / RATE) * np.ones_like(hertz)
    return np.stack([np.ones_like(hertz), -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], axis=-1)


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Products of polynomials, row by row: (F, m), (F, n) -> (F, m + n - 1)."""
    product = np.zeros((len(left), left.shape[1] + right.shape[1] - 1))
    for power in range(right.shape[1]):
        product[:, power : power + left.shape[1]] += left * right[:, power : power + 1]
    return product


def _glide(frames: np.ndarray, edges: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A track (F,) that moves from target to target; it reaches each in the middle of its phone."""
    durations = np.diff(edges)
    reached = np.stack([edges[:-1] + 0.3 * durations, edges[:-1] + 0.7 * durations], axis=1).ravel()
    track = np.interp(frames, reached, np.repeat(targets, 2))
    inertia = [0.1, 0.23, 0.34, 0.23, 0.1]  # over 40 ms: articulators move smoothly
    held = np.concatenate([track[:1], track[:1], track, track[-1:], track[-1:]])
    return np.convolve(held, inertia, mode="valid")


def _hold(seconds: np.ndarray, edges: np.ndarray, amplitudes: list[float]) -> np.ndarray:
    """Amplitudes (T,), one per phone, with ramps of 16 ms (less around bursts); zero before and after."""
    ramp = np.minimum(0.008, np.diff(edges) / 6)
    knots = np.stack([edges[:-1] + ramp, edges[1:] - ramp], axis=1).ravel()
    return np.interp(seconds, [edges[0], *knots, edges[-1]], [0, *np.repeat(amplitudes, 2), 0])


def _nearest_noise(frames: np.ndarray, edges: np.ndarray, phones: list[Phone]) -> np.ndarray:
    """Centre and bandwidth (F, 2) of the frication nearest in time; arbitrary for a word without frication."""
    noisy = [i for i, phone in enumerate(phones) if phone.noise]
    if not noisy:
        return np.tile([4000.0, 4000.0], (len(frames), 1))
    away = np.maximum(edges[noisy] - frames[:, None], frames[:, None] - edges[[i + 1 for i in noisy]])
    return np.array([phones[i].noise for i in noisy], dtype=float)[away.argmin(1)]


def _rise(along: np.ndarray) -> np.ndarray:
    """Rises smoothly from 0 to 1 while `along` goes from 0 to 1."""
    return np.sin(0.5 * np.pi * np.clip(along, 0, 1)) ** 2
