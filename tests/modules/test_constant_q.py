import librosa
import numpy as np
import pytest
import torch

from auscult.mistake import Mistake
from auscult.modules.constant_q import ConstantQ


def chirp() -> torch.Tensor:
    time = np.arange(88200) / 22050
    return torch.from_numpy(librosa.chirp(fmin=60, fmax=8000, sr=22050, length=88200) * (0.2 + time / 8)).float()


def test_agrees_with_librosa() -> None:
    front_end = ConstantQ(22050, 4.0)
    spectrogram = front_end(chirp().view(1, 1, -1))[0, 0].numpy()
    magnitude = librosa.cqt(
        chirp().numpy(),
        sr=22050,
        hop_length=256,
        fmin=40.0,
        n_bins=64,
        bins_per_octave=8,
        tuning=0.0,
        pad_mode="constant",
    )
    power = np.abs(magnitude) ** 2  # (64, frames) at librosa's own hop, a power of two
    times = librosa.frames_to_time(np.arange(power.shape[1]), sr=22050, hop_length=256)
    half = front_end.times.numpy()[1:] - np.diff(front_end.times.numpy()) / 2
    columns = [part.mean(1) for part in np.split(power, np.searchsorted(times, half), axis=1)]
    expected = np.maximum(librosa.power_to_db(np.stack(columns, 1), ref=np.max, top_db=None), -40) / 80
    # librosa halves the rate for low octaves, and its frames lie elsewhere in a column: 3 dB, over the upper 40 dB
    assert np.percentile(np.abs(np.maximum(spectrogram - 1, -0.5) - expected), 95) < 3 / 80


def test_a_tone_lies_in_its_row_and_column() -> None:
    front_end = ConstantQ(22050, 4.0)
    time = torch.arange(88200) / 22050
    for row, hertz in enumerate(front_end.frequencies.tolist()):
        if row % 9 == 0:
            burst = torch.sin(2 * torch.pi * hertz * time) * torch.exp(-(((time - 1.5) / 0.2) ** 2))
            spectrogram = front_end(burst.view(1, 1, -1))[0, 0]
            assert abs(int(spectrogram.amax(1).argmax()) - row) == 0
            assert abs(float(front_end.times[spectrogram[row].argmax()]) - 1.5) <= 4 / 64


def test_silence_is_zero_and_level_does_not_matter() -> None:
    front_end = ConstantQ(22050, 4.0)
    assert torch.equal(front_end(torch.zeros(1, 1, 88200)), torch.zeros(1, 1, 64, 64))
    waveform = chirp().view(1, 1, -1)
    torch.testing.assert_close(front_end(0.01 * waveform), front_end(waveform), atol=1e-4, rtol=0)


def test_mistakes() -> None:
    with pytest.raises(Mistake, match="choose fewer rows"):
        ConstantQ(8000, 1.0)
    with pytest.raises(Mistake, match="at most one of 64 columns"):
        ConstantQ(22050, 4.0, hop_seconds=0.5)
    with pytest.raises(Mistake, match="clips of 88200 samples, not 100"):
        ConstantQ(22050, 4.0)(torch.zeros(1, 1, 100))
