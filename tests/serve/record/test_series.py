import io

import numpy as np
import pytest
import soundfile

from auscult.serve.record.series import pieces, words
from auscult.serve.upload import BadUpload


def said(rate: int, *sounds: tuple[float, float, float], of: float = 6.0) -> np.ndarray:
    """Tones (begin, length in seconds, level) in faint noise: (frames, 1)."""
    samples = 1e-4 * np.random.default_rng(0).standard_normal(round(of * rate))
    for begins, lasts, level in sounds:
        word = slice(round(begins * rate), round((begins + lasts) * rate))
        samples[word] += level * np.sin(2 * np.pi * 300 * np.arange(len(samples))[word] / rate)
    return samples.astype(np.float32)[:, None]


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_words_are_cut_at_pauses(rate):
    sounds = [(0.5, 0.4, 0.3), (1.5, 0.6, 0.1), (2.45, 0.3, 0.4), (5.0, 0.5, 0.2)]
    recording = said(rate, *sounds)
    spans = np.array(words(recording[:, 0].astype(np.float64), rate)) / rate
    np.testing.assert_allclose(spans, [(begins, begins + lasts) for begins, lasts, _ in sounds], atol=0.03)
    for piece, (_, lasts, level) in zip(pieces(recording, rate), sounds, strict=True):
        kept, kept_rate = soundfile.read(io.BytesIO(piece.wav))
        assert kept_rate == 48000 and kept.max() == pytest.approx(level, rel=0.05) and piece.advice == ""
        assert len(kept) / 48000 == pytest.approx(lasts + 0.1, abs=0.06)


def test_a_short_pause_is_within_a_word_and_a_click_is_none():
    eight = [(1.0, 0.3, 0.3), (1.45, 0.1, 0.3)]
    [(start, stop)] = words(said(16000, *eight, (3.0, 0.02, 0.5))[:, 0].astype(np.float64), 16000)
    assert (start / 16000, stop / 16000) == pytest.approx((1.0, 1.55), abs=0.03)


@pytest.mark.parametrize(
    "samples", [np.zeros((48000, 1)), np.full((48000, 1), np.nan), np.ones((10, 1)), said(48000, (1.0, 0.02, 0.5))]
)
def test_where_no_words_are_a_sentence_says_so(samples):
    with pytest.raises(BadUpload, match="No words were found"):
        pieces(samples.astype(np.float32), 48000)
