import io

import numpy as np
import pytest
import soundfile

from auscult.serve.upload import MOST_BYTES, BadUpload, decode


def encoded(samples: np.ndarray, rate: int = 8000, **how: str) -> bytes:
    soundfile.write(file := io.BytesIO(), samples, rate, **how)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_kinds_are_told_by_decoding(kind):
    samples = 0.3 * np.sin(np.arange(16000) / 20)[:, None].repeat(2, 1)
    decoded, rate = decode(encoded(samples, 16000, format=kind))
    assert rate == 16000 and decoded.shape[1] == 2 and decoded.dtype == np.float32
    assert len(decoded) == pytest.approx(16000, abs=2500)  # MP3 pads
    assert np.abs(decoded).max() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a recording"),
        (b"<html>hello</html>" * 100, "not a recording"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "not a recording"),
        (np.random.default_rng(0).bytes(5000), "not a recording"),
        (encoded(np.zeros((0, 1)), format="WAV"), "empty"),
        (encoded(np.zeros(31 * 1000), 1000, format="WAV"), "longer than 30 seconds"),
        (bytes(MOST_BYTES + 1), "larger than 20 MB"),
        (encoded(np.zeros(1000), 1000, format="WAV"), "recorded at 1000 Hz; send one of 4000 to 192000 Hz."),
        (encoded(0.1 * np.ones(9000), 9000, format="WAV")[:9000], "ends too early"),
    ],
)
def test_what_is_no_recording_gets_a_sentence(content, message):
    with pytest.raises(BadUpload, match=message) as told:
        decode(content)
    assert str(told.value).endswith(".") and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("frames", "channels", "rate", "message"),
    [(655_350, 1, 655_350, "recorded at 655350 Hz"), (1_450_000, 8, 96_000, "has 8 channels; send fewer, or less")],
)
def test_a_small_file_that_holds_much_is_not_even_decoded(monkeypatch, frames, channels, rate, message):
    content = encoded(np.zeros((frames, channels), np.int16), rate, format="FLAC")
    assert len(content) < 200_000
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(BadUpload, match=message):
        decode(content)
