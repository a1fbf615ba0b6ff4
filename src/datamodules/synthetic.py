"""The default corpus: synthetic spoken digits with AudioMNIST's speakers and folds.

It serves for trying things out and for checking explanations, as it knows where in time and frequency its cues lie. Do
not report its accuracy.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from auscult.datamodules.audiomnist import FEMALE, PUBLISHED_FOLDS
from auscult.datamodules.clips import Clip, Corpus, Segment
from auscult.datamodules.voice import (
    BANDWIDTHS_HZ,
    FFT,
    HOP,
    PHONES,
    RATE,
    WORDS,
    Utterance,
    Voice,
    articulate,
    noise_response,
    speak,
)
from auscult.mistake import Mistake

VERSION = 1  # raise it whenever the same settings make other samples, so that no cache keeps the old ones
MOST_REPETITIONS = 500  # 300 000 clips
SEX_CUES = ("pitch", "tract", "both")

# Ranges over speakers; the middle is more common than the ends. Formants of women are 15 to 20 % higher than those of
# men in Peterson & Barney (1952) and Hillenbrand et al. (1995).
F0_HZ = {"male": (85.0, 155.0), "female": (165.0, 255.0), "either": (85.0, 255.0)}
TRACT = {"male": (0.94, 1.06), "female": (1.12, 1.24), "either": (0.94, 1.24)}

# Other phones are named by their own letters. Both parts of a diphthong have its name.
IPA = {
    "i": "iː", "I": "ɪ", "E": "ɛ", "V": "ʌ", "O": "ɔ", "u": "uː", "@": "ə", "r": "ɹ", "R": "ɹ", "T": "θ",
    "a": "aɪ", "aI": "aɪ", "e": "eɪ", "eI": "eɪ", "o": "oʊ", "oU": "oʊ",
    "silence t": "t", "burst t": "t", "breath t": "t", "silence k": "k", "burst k": "k",
}  # fmt: skip

CONSONANTS = {"fricative": "zTfvs", "nasal": "n", "stop": "tk", "liquid": "rR"}

HARMONICS_BELOW_HZ = 4000.0  # above, jitter blurs neighbouring harmonics
AUDIBLE_VOICING = 0.1  # relative to a stressed vowel's amplitude
AUDIBLE_FRICATION = 0.03  # root mean square; that of a stressed vowel is near 2
FRICATION_DB = 12.0  # the band of frication ends where its spectrum has fallen by this much


@dataclass(frozen=True)
class Cue:
    """Where one cue lies in a clip; both bounds are NaN in frames without the cue."""

    name: str  # "harmonic 1" (the fundamental), "harmonic 2", ...; "formant 1" to "formant 4"; "frication"
    seconds: np.ndarray  # (F,) middle of each frame, from the start of the recording; frames are 8 ms apart
    low_hz: np.ndarray  # (F,)
    high_hz: np.ndarray  # (F,) may exceed half of the rate that the clip is resampled to


class Synthetic(Corpus):
    """Digits 0 to 9 of AudioMNIST's 60 speakers, `repetitions` of each, at 16 kHz."""

    root = Path()

    def __init__(self, repetitions: int, seed: int, sex_cue: str) -> None:
        """
        Args:
            repetitions: recordings of each digit by each speaker, at least 1.
            seed: decides all speakers and recordings, at least 0.
            sex_cue: what tells the sexes apart: "pitch" (the fundamental alone), "tract" (the formants alone,
                by the length of the vocal tract) or "both".

        Raises:
            Mistake: an option has a value that is not allowed.
        """
        for name, value, least, most in (("repetitions", repetitions, 1, MOST_REPETITIONS), ("seed", seed, 0, 2**63)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise Mistake(f"data.{name} is {value!r}; give a whole number from {least} to {most}.")
        if sex_cue not in SEX_CUES:
            raise Mistake(f"data.sex_cue is {sex_cue!r}; choose one of {', '.join(SEX_CUES)}.")
        self.repetitions, self.seed, self.sex_cue = repetitions, seed, sex_cue
        self.voices = {speaker: self._voice(speaker) for speaker in (f"{i:02d}" for i in range(1, 61))}

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`."""
        return [
            Clip(f"{speaker}/{digit}_{speaker}_{take}.wav", speaker, _labels(speaker, voice, digit))
            for speaker, voice in self.voices.items()
            for digit in "0123456789"
            for take in range(self.repetitions)
        ]

    def published_folds(self, task: str) -> list[list[str]] | None:
        """See `Corpus.published_folds`."""
        return PUBLISHED_FOLDS.get(task)

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        """Makes a recording: a word, a noise floor 50 to 65 dB under its peak, a microphone, and a level."""
        from scipy import signal  # only here: it takes a second to import, and is not needed to list the clips

        utterance, rng = self._articulate(clip)
        word = speak(utterance, rng)
        noise = rng.standard_normal(len(word))
        floor = signal.lfilter([1.0], [1.0, -0.9], noise)  # the noise of rooms is mostly low
        floor *= 10 ** (rng.uniform(-65, -50) / 20) * np.abs(word).max() / floor.std()
        brightness = rng.uniform(0.5, 0.9)  # close microphones lift speech by 10 dB or more above 2 kHz
        recording = signal.lfilter([1.0, -brightness], [1.0], word + floor)
        recording *= 10 ** (rng.uniform(-16, -1) / 20) / np.abs(recording).max()
        return recording.astype(np.float32)[:, None], RATE

    def cues(self, clip: Clip) -> list[Cue]:
        """Where each cue of a clip lies, from the trajectories that `read` uses.

        The band of a harmonic reaches a quarter of the fundamental to either side. The band of a formant reaches its
        bandwidth to either side, or half the fundamental if that is more, so that it contains a harmonic. Both are
        present while the clip is voiced. The band of frication is that of its noise, with bursts. Breath is no cue.
        """
        utterance, _ = self._articulate(clip)
        voiced = utterance.voicing[::HOP] >= AUDIBLE_VOICING
        bands = {**_harmonic_bands(utterance, voiced), **_formant_bands(utterance, voiced)}
        bands["frication"] = _frication_band(utterance)
        seconds = np.arange(len(voiced)) * HOP / RATE
        return [Cue(name, seconds, low, high) for name, (low, high) in bands.items()]

    def segments(self, clip: Clip) -> list[Segment]:
        """The phones of a clip, in the letters of the IPA. A diphthong is one of them, and a stop with its burst."""
        utterance, _ = self._articulate(clip)
        word = WORDS[int(PurePosixPath(clip.path).name[0])]
        phones: list[Segment] = []
        for (name, _), start, stop in zip(word, utterance.edges[:-1], utterance.edges[1:], strict=True):
            symbol = IPA.get(name, name)
            if phones and phones[-1].name == symbol:
                start = phones.pop().start
            phones.append(Segment(symbol, float(start), float(stop)))
        return phones

    def stamp(self, clip: Clip) -> str:
        """See `Corpus.stamp`; recordings change only with `VERSION`."""
        return f"version {VERSION}"

    def identity(self) -> dict[str, object]:
        """See `Corpus.identity`."""
        return {
            "corpus": type(self).__qualname__,
            "version": VERSION,
            "repetitions": self.repetitions,
            "seed": self.seed,
            "sex_cue": self.sex_cue,
        }

    def _voice(self, speaker: str) -> Voice:
        """Draws a speaker. The random numbers are the same for every `sex_cue`; only the ranges differ."""
        rng = self._rng(int(speaker))
        place_f0, place_tract = rng.beta(2, 2, size=2)
        f0 = F0_HZ[_sex(speaker) if self.sex_cue != "tract" else "either"]
        tract = TRACT[_sex(speaker) if self.sex_cue != "pitch" else "either"]
        return Voice(
            f0=f0[0] * (f0[1] / f0[0]) ** place_f0,
            tract=tract[0] * (tract[1] / tract[0]) ** place_tract,
            tempo=float(np.exp(0.1 * rng.standard_normal())),
            open_quotient=rng.uniform(0.5, 0.7),
            tilt_hz=rng.uniform(3000, 8000),
            breath=rng.uniform(0.03, 0.1),
            accent=np.exp(0.035 * rng.standard_normal((len(PHONES), 3))),
        )

    def _articulate(self, clip: Clip) -> tuple[Utterance, np.random.Generator]:
        digit, speaker, take = PurePosixPath(clip.path).stem.split("_")
        rng = self._rng(int(speaker), int(digit), int(take))
        return articulate(int(digit), self.voices[speaker], rng), rng

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def _labels(speaker: str, voice: Voice, digit: str) -> dict[str, str]:
    """Digit, sex, the speaker's pitch in hertz, and the kinds of consonants in the word."""
    names = {name.split()[-1] for name, _ in WORDS[int(digit)]}
    consonants = [kind for kind, members in CONSONANTS.items() if names & set(members)]
    return {"digit": digit, "sex": _sex(speaker), "pitch": f"{voice.f0:.1f}", "consonants": ";".join(consonants)}


def _sex(speaker: str) -> str:
    return "female" if speaker in FEMALE else "male"


Band = tuple[np.ndarray, np.ndarray]  # low and high (F,), Hz


def _harmonic_bands(utterance: Utterance, voiced: np.ndarray) -> dict[str, Band]:
    f0 = np.where(voiced, utterance.f0[::HOP], np.nan)
    bands = {}
    for number in range(1, int(HARMONICS_BELOW_HZ / np.nanmin(f0)) + 1):
        middle = np.where(number * f0 <= HARMONICS_BELOW_HZ, number * f0, np.nan)
        bands[f"harmonic {number}"] = (middle - f0 / 4, middle + f0 / 4)
    return bands


def _formant_bands(utterance: Utterance, voiced: np.ndarray) -> dict[str, Band]:
    bands = {}
    for index in range(4):
        middle = np.where(voiced, utterance.formants[:, index], np.nan)
        reach = np.maximum(BANDWIDTHS_HZ[index], utterance.f0[::HOP] / 2)
        bands[f"formant {index + 1}"] = (middle - reach, middle + reach)
    return bands


def _frication_band(utterance: Utterance) -> Band:
    gain_db = 20 * np.log10(np.abs(noise_response(utterance.noise)) + 1e-12)  # (F, FFT / 2 + 1)
    strong = gain_db >= gain_db.max(1, keepdims=True) - FRICATION_DB
    audible = utterance.frication[::HOP] >= AUDIBLE_FRICATION
    low = strong.argmax(1) * RATE / FFT
    high = (strong.shape[1] - 1 - strong[:, ::-1].argmax(1)) * RATE / FFT
    return np.where(audible, low, np.nan), np.where(audible, high, np.nan)
