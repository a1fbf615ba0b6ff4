import io

import numpy as np
import pytest
import soundfile

from auscult.serve.record.take import BARS, advise, take
from auscult.serve.upload import BadUpload


def spoken(rate: int = 48000, begins: float = 0.7, lasts: float = 0.4, of: float = 2.0, level: float = 0.4):
    """A tone with sharp edges in faint noise, 16 bit as browsers send it: (frames, 1)."""
    samples = 1e-4 * np.random.default_rng(0).standard_normal(round(of * rate))
    word = slice(round(begins * rate), round((begins + lasts) * rate))
    samples[word] += level * np.sin(2 * np.pi * 300 * np.arange(round(of * rate))[word] / rate)
    return (np.rint(samples * 32768) / 32768).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 96000])
def test_the_word_is_cut_with_a_margin_of_what_was_around_it(rate):
    cut = take(spoken(rate), rate)
    # the frames that are compared last 25 ms and begin every 10 ms: the edges are found to one frame
    assert cut.start * 2 == pytest.approx(0.7 - 0.05, abs=0.03)
    assert cut.stop * 2 == pytest.approx(1.1 + 0.05, abs=0.03)
    kept, kept_rate = soundfile.read(io.BytesIO(cut.wav))
    assert kept_rate == 48000 and kept.ndim == 1 and len(kept) / 48000 == pytest.approx(cut.seconds, abs=1e-3)
    assert soundfile.info(io.BytesIO(cut.wav)).subtype == "PCM_16" and cut.advice == ""
    spectrum = np.abs(np.fft.rfft(kept))
    assert np.argmax(spectrum) * 48000 / len(kept) == pytest.approx(300, abs=3)


def test_what_was_recorded_at_48_khz_is_kept_bit_by_bit():
    samples = spoken()
    cut = take(samples, 48000)
    kept, _ = soundfile.read(io.BytesIO(cut.wav), dtype="int16")
    first = round(cut.start * len(samples))
    np.testing.assert_array_equal(kept, np.rint(samples[first : first + len(kept), 0] * 32768))


def test_the_envelope_is_the_peaks_of_equal_parts():
    samples = spoken()
    assert take(samples, 48000).envelope == pytest.approx(np.abs(samples).reshape(BARS, -1).max(1), abs=6e-4)


def test_channels_are_mixed():
    mono = spoken()
    stereo = take(np.concatenate((mono, mono / 2), 1), 48000)
    assert soundfile.read(io.BytesIO(stereo.wav))[0].max() == pytest.approx(0.3, abs=2e-3)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((48000, 1), np.float32), 48000, r"Nothing was heard \(silent\)"),
        (np.full((48000, 1), np.nan, np.float32), 48000, "Nothing was heard .*not finite"),
        (spoken(48000, lasts=0.4, of=1.2)[:1000], 48000, "Nothing was heard .*too short"),
        (spoken(4000), 4000, "recorded at 4000 Hz; 8000 Hz or more"),
    ],
)
def test_what_holds_no_word_gets_a_sentence(samples, rate, message):
    with pytest.raises(BadUpload, match=message) as told:
        take(samples, rate)
    assert str(told.value).endswith(".")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"level": 1.2}, "too loud"),
        ({"level": 0.02}, "very soft"),
        ({"begins": 0.0}, "lack its beginning"),
        ({"begins": 1.6}, "lack its end"),
        ({"begins": 0.0, "lasts": 2.0}, "No pause"),
        ({"begins": 0.3, "lasts": 1.2}, "longer than a second"),
    ],
)
def test_the_speaker_is_told_what_to_do_better(how, said):
    assert said in take(np.clip(spoken(**how), -1, 1), 48000).advice


def test_all_being_well_there_is_no_advice():
    assert advise(0.5, False, False, 0.6) == ""
