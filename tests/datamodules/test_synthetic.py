"""The synthetic corpus: the same every time, only the promised cues, and ground truth that is true."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from auscult.datamodules.clips import Clip
from auscult.datamodules.synthetic import Cue, Synthetic
from auscult.mistake import Mistake

RATE = 16_000
WOMEN = ["12", "26", "28", "36", "43", "47", "52", "56", "57", "58", "59", "60"]
MEN = ["02", "44", "50", "25", "37", "45", "48", "53", "41", "07", "23", "38"]


def corpus(repetitions: Any = 1, seed: Any = 0, sex_cue: Any = "both") -> Synthetic:
    return Synthetic(repetitions, seed, sex_cue)


def clip(speaker: str, digit: int, take: int = 0) -> Clip:
    return Clip(f"{speaker}/{digit}_{speaker}_{take}.wav", speaker)


def samples(made: Synthetic, one: Clip) -> np.ndarray:
    return made.read(one)[0][:, 0]


def power(waveform: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (bins,) and power (bins, F) in windows of that length around the frames of cues."""
    size = int(seconds * RATE)
    spectra = librosa.stft(waveform, n_fft=2048, win_length=size, hop_length=128, center=True)
    return np.fft.rfftfreq(2048, 1 / RATE), np.abs(spectra) ** 2


def cues(made: Synthetic, one: Clip) -> dict[str, Cue]:
    return {cue.name: cue for cue in made.cues(one)}


def inside(frequencies: np.ndarray, cue: Cue) -> np.ndarray:
    """Whether each bin lies in the cue's band, (bins, F)."""
    return (frequencies[:, None] >= cue.low_hz) & (frequencies[:, None] <= cue.high_hz)


def formants_by_prediction(waveform: np.ndarray) -> np.ndarray:
    """Frequencies (n,) of the poles of a linear prediction, Hz: it knows nothing of the synthesis."""
    emphasised = signal.lfilter([1, -0.95], [1], waveform) * np.hamming(len(waveform))
    poles = np.roots(librosa.lpc(emphasised, order=18))
    poles = poles[(poles.imag > 0) & (-np.log(np.abs(poles)) * RATE / np.pi < 600)]
    return np.sort(np.angle(poles) * RATE / (2 * np.pi))


def test_clips_are_audiomnists() -> None:
    made = corpus(repetitions=2)
    clips = made.clips()
    assert len({one.path for one in clips}) == len(clips) == 60 * 10 * 2
    known = {"digit": "0", "sex": "male", "pitch": f"{made.voices['01'].f0:.1f}", "consonants": "fricative;liquid"}
    assert clips[0] == Clip("01/0_01_0.wav", "01", known)
    assert {one.speaker for one in clips if one.labels["sex"] == "female"} == set(WOMEN)
    assert {one.speaker for one in clips} == {f"{i:02d}" for i in range(1, 61)}


def test_published_folds_apply() -> None:
    made = corpus()
    digit, sex = made.published_folds("digit"), made.published_folds("sex")
    assert digit and sex
    assert sorted(chain.from_iterable(digit)) == sorted({one.speaker for one in made.clips()})
    assert set(sex[0]) == {"58", "59", "60", "07", "23", "38"} and set(WOMEN) <= set(chain.from_iterable(sex))
    assert made.published_folds("accent") is None


def test_same_samples_in_every_instance_and_thread() -> None:
    clips = corpus().clips()[::61]
    first = [samples(corpus(), one) for one in clips]
    made = corpus(repetitions=5)
    with ThreadPoolExecutor(4) as threads:
        for one, again in zip(first, threads.map(lambda one: samples(made, one), clips), strict=True):
            np.testing.assert_array_equal(one, again)


def test_every_seed_speaker_digit_and_take_differs() -> None:
    made = [samples(corpus(seed=seed), clip("01", 0)) for seed in (0, 1)]
    made += [samples(corpus(), one) for one in (clip("02", 0), clip("01", 1), clip("01", 0, take=1))]
    assert len({one.tobytes() for one in made}) == len(made)


def test_cache_key_knows_every_setting() -> None:
    different = [corpus(), corpus(repetitions=2), corpus(seed=1), corpus(sex_cue="pitch")]
    assert len({str(made.identity()) for made in different}) == 4
    assert corpus().identity() == corpus().identity()
    assert corpus().stamp(clip("01", 0)) == corpus().stamp(clip("60", 9)) != "missing"


@pytest.mark.parametrize("sex_cue, by_pitch, by_tract", [("pitch", 1, 0), ("tract", 0, 1), ("both", 1, 1)])
def test_sex_cue_moves_only_what_it_says(sex_cue: str, by_pitch: bool, by_tract: bool) -> None:
    made = corpus(sex_cue=sex_cue)
    pitch: dict[str, float] = {}
    second_formant: dict[str, float] = {}
    for speaker in WOMEN + MEN:
        waveform = samples(made, clip(speaker, 8))
        loudest = int(np.convolve(waveform**2, np.ones(1600), mode="same").argmax())
        vowel = waveform[loudest - 800 : loudest + 800]
        pitch[speaker] = float(np.median(librosa.yin(vowel, fmin=70, fmax=320, sr=RATE, frame_length=1024)))
        candidates = formants_by_prediction(vowel)
        second_formant[speaker] = candidates[candidates > 1300][0]
    women_over_men = [
        np.median([values[speaker] for speaker in WOMEN]) / np.median([values[speaker] for speaker in MEN])
        for values in (pitch, second_formant)
    ]
    assert women_over_men[0] > 1.5 if by_pitch else 0.85 < women_over_men[0] < 1.15
    assert women_over_men[1] > 1.12 if by_tract else 0.93 < women_over_men[1] < 1.07


@settings(max_examples=30, deadline=None)
@given(
    speaker=st.integers(1, 60),
    digit=st.integers(0, 9),
    take=st.integers(0, 99),
    seed=st.integers(0, 2**40),
    sex_cue=st.sampled_from(["pitch", "tract", "both"]),
)
def test_any_recording_is_sound(speaker: int, digit: int, take: int, seed: int, sex_cue: str) -> None:
    made, one = corpus(seed=seed, sex_cue=sex_cue), clip(f"{speaker:02d}", digit, take)
    recording, rate = made.read(one)
    assert rate == RATE and recording.dtype == np.float32 and recording.shape[1] == 1
    assert 0.35 <= len(recording) / rate <= 1.15
    peak = np.abs(recording).max()
    assert 0.1 < peak <= 1 and np.isfinite(recording).all()
    assert max(np.abs(recording[:400]).max(), np.abs(recording[-400:]).max()) < 0.1 * peak  # margins
    for cue in made.cues(one):
        present = np.isfinite(cue.low_hz)
        np.testing.assert_array_equal(present, np.isfinite(cue.high_hz))
        assert (cue.low_hz[present] > 0).all() and (cue.low_hz[present] < cue.high_hz[present]).all()
        assert cue.high_hz[present].max(initial=0) <= RATE / 2
        np.testing.assert_allclose(cue.seconds, np.arange(-(-len(recording) // 128)) * 0.008)
        assert present.any() or (cue.name == "frication" and digit in (1, 9))
        assert not present[:3].any() and not present[-3:].any()


@pytest.mark.parametrize("speaker", ["01", "02", "26", "58"])
@pytest.mark.parametrize("digit", [1, 3, 8, 9])
def test_energy_lies_on_the_harmonics(speaker: str, digit: int) -> None:
    made, one = corpus(), clip(speaker, digit)
    frequencies, spectrum = power(samples(made, one), 0.06)
    cue_of = cues(made, one)
    harmonics = [cue_of[f"harmonic {number}"] for number in range(1, 9)]
    f0 = (harmonics[0].low_hz + harmonics[0].high_hz) / 2
    on = np.any([inside(frequencies, cue) for cue in harmonics], axis=0)
    between = (frequencies[:, None] > f0 / 2) & (frequencies[:, None] < 8.5 * f0) & ~on
    densities = np.nansum(spectrum * on) / on.sum(), np.nansum(spectrum * between) / between.sum()
    assert densities[0] > 8 * densities[1]


@pytest.mark.parametrize("digit", [1, 2, 4, 5, 8, 9])
def test_formants_lie_on_their_tracks(digit: int) -> None:
    """Linear prediction of men's vowels (a high voice has too few harmonics to see a formant by)."""
    errors, elsewhere = [], []
    for speaker in MEN[:6]:
        made, one = corpus(), clip(speaker, digit)
        waveform, cue_of = samples(made, one), cues(made, one)
        voiced = np.flatnonzero(np.isfinite(cue_of["formant 1"].low_hz))
        for frame in voiced[4:-4:3]:
            estimates = formants_by_prediction(waveform[frame * 128 - 320 : frame * 128 + 320])
            for cue in (cue_of[f"formant {number}"] for number in range(1, 5)):
                middle = (cue.low_hz[frame] + cue.high_hz[frame]) / 2
                errors.append(np.abs(estimates / middle - 1).min())
                elsewhere.append(np.abs(estimates / (1.2 * middle) - 1).min())
    assert np.median(errors) < 0.03 < 0.06 < np.median(elsewhere)


@pytest.mark.parametrize("speaker", ["01", "26", "44", "58"])
@pytest.mark.parametrize("digit", [2, 3, 4, 5, 6, 7, 8])
def test_frication_holds_the_energy_of_unvoiced_frames(speaker: str, digit: int) -> None:
    made, one = corpus(), clip(speaker, digit)
    frequencies, spectrum = power(samples(made, one), 0.016)
    cue_of = cues(made, one)
    band = inside(frequencies, cue_of["frication"])
    voiced = np.convolve(np.isfinite(cue_of["formant 1"].low_hz), np.ones(7), mode="same") > 0
    unvoiced = band.any(0) & ~voiced
    assert unvoiced.any()
    spectrum = spectrum[:, : len(unvoiced)]
    assert (spectrum * band)[:, unvoiced].sum() > 0.75 * spectrum[:, unvoiced].sum()
    assert spectrum[:, unvoiced].sum(0).mean() > 10 * spectrum[:, :3].sum(0).mean()  # the noise floor


def test_voiced_speech_falls_with_frequency_like_speech() -> None:
    """6 to 12 dB per octave between 500 Hz and 4 kHz, in the mean over speakers and words."""
    made = corpus()
    spectra = []
    for one in made.clips()[::37]:
        frequencies, spectrum = power(samples(made, one), 0.03)
        voiced = np.isfinite(cues(made, one)["formant 1"].low_hz)
        mean = spectrum[:, : len(voiced)][:, voiced].mean(1)
        spectra.append([mean[(frequencies >= low) & (frequencies < 2 * low)].mean() for low in (350, 2800)])
    low, high = (10 * np.log10(np.array(spectra) / np.sum(spectra, axis=1, keepdims=True))).mean(0)
    assert -12 < (high - low) / 3 < -6


@pytest.mark.parametrize(
    "options, named",
    [
        ({"repetitions": 0}, "data.repetitions"),
        ({"repetitions": 2.5}, "data.repetitions"),
        ({"repetitions": True}, "data.repetitions"),
        ({"seed": -1}, "data.seed"),
        ({"seed": None}, "data.seed"),
        ({"sex_cue": "voice"}, "data.sex_cue.*pitch, tract, both"),
        ({"sex_cue": None}, "data.sex_cue"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(Mistake, match=named):
        corpus(**options)


@pytest.mark.parametrize(("digit", "phones"), [(0, "z ɪ ɹ oʊ"), (2, "t uː"), (6, "s ɪ k s"), (9, "n aɪ n")])
def test_phones_are_those_of_the_word(digit: int, phones: str) -> None:
    assert " ".join(each.name for each in corpus().segments(clip("14", digit))) == phones


def test_a_hiss_is_where_its_phone_is() -> None:
    """In "six", each s holds most of its energy above 3 kHz, and the vowel hardly any."""
    made, one = corpus(), clip("14", 6)
    frequencies, spectrum = power(samples(made, one), 0.016)
    middles = np.arange(spectrum.shape[1]) * 0.008
    first, vowel, _, last = made.segments(one)
    for phone, is_hiss in ((first, True), (vowel, False), (last, True)):
        inner = (middles > phone.start + 0.02) & (middles < phone.stop - 0.02)
        own = spectrum[:, inner].sum(1)
        assert (own[frequencies > 3000].sum() > 0.5 * own.sum()) == is_hiss
