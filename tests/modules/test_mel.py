import re
import warnings
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from auscult.mistake import Mistake
from auscult.modules.constant_q import ConstantQ
from auscult.modules.mel import LogMel


def noise(clips: int = 2, samples: int = 88200) -> Tensor:
    return torch.randn(clips, 1, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def test_agrees_with_librosa() -> None:
    front_end, waveform = LogMel(22050, 4.0), noise()
    waveform[1, 0, 20000:] *= 1e-3  # down to the floor and below
    for clip, spectrogram in zip(waveform[:, 0].numpy(), front_end(waveform)[:, 0].numpy(), strict=True):
        power = librosa.feature.melspectrogram(
            y=clip.astype(np.float64), sr=22050, n_fft=front_end.window, hop_length=front_end.hop, n_mels=64, fmin=20.0,
            htk=True, norm=None, pad_mode="constant",
        )  # fmt: skip
        ends = np.arange(65) * power.shape[1] / 64
        columns = [power[:, int(a) : int(np.ceil(b))].mean(1) for a, b in pairwise(ends)]
        decibels = librosa.power_to_db(np.stack(columns, 1), ref=np.max, top_db=None)
        np.testing.assert_allclose(spectrogram, 1 + np.maximum(decibels, -80) / 80, atol=2e-4)


@pytest.mark.parametrize("rate, seconds", [(8000, 1.0), (16000, 4.0), (22050, 4.0), (48000, 2.5)])
def test_a_tone_lies_in_its_row_and_column(rate: int, seconds: float) -> None:
    front_end = LogMel(rate, seconds)
    assert bool((front_end.filters.sum(0) > 0).all())  # no band is empty
    time = torch.arange(front_end.samples) / rate
    for hertz, start in ((250.0, 0.25), (1000.0, 0.5), (3000.0, 0.75)):
        middle = start * seconds
        burst = torch.sin(2 * torch.pi * hertz * time) * torch.exp(-(((time - middle) / 0.02) ** 2))
        spectrogram = front_end(burst.view(1, 1, -1))[0, 0]
        row, column = divmod(int(spectrogram.argmax()), 64)
        assert abs(front_end.frequencies - hertz).argmin() == row
        assert abs(front_end.times[column] - middle) <= seconds / 64


def test_silence_is_zero_and_level_does_not_matter() -> None:
    front_end = LogMel(22050, 4.0)
    assert torch.equal(front_end(torch.zeros(1, 1, 88200)), torch.zeros(1, 1, 64, 64))
    torch.testing.assert_close(front_end(0.01 * noise()), front_end(noise()), atol=1e-4, rtol=0)
    assert float(front_end(noise()).max()) == 1.0


def test_gradients_are_finite_in_silence() -> None:
    waveform = noise(1)
    waveform[..., :40000] = 0
    waveform.requires_grad_()
    LogMel(22050, 4.0)(waveform).sum().backward()
    assert waveform.grad is not None and bool(waveform.grad.isfinite().all())


def test_a_clip_does_not_depend_on_its_batch() -> None:
    front_end = LogMel(22050, 4.0)
    torch.testing.assert_close(front_end(noise(3))[1:2], front_end(noise(3)[1:2]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [0.046, 1015 / 22050])  # an even and an odd number of samples
def test_relevance_spread_back_sums_to_the_same(seconds: float) -> None:
    front_end = LogMel(22050, 4.0, window_seconds=seconds)
    relevance = torch.randn(3, 1, 64, 64, dtype=torch.float64)
    spread = front_end.spread(relevance)
    transform = torch.stft(noise(1)[0], front_end.window, front_end.hop, window=torch.hann_window(front_end.window),
                           pad_mode="constant", return_complex=True)  # fmt: skip
    assert spread.shape[-2:] == transform.shape[-2:]
    torch.testing.assert_close(spread.sum((-2, -1)), relevance.sum((-2, -1)))


def test_relevance_is_spread_over_its_band_and_column_alone() -> None:
    front_end = LogMel(22050, 4.0)
    relevance = torch.zeros(64, 64)
    relevance[20, 30] = 2.0
    spread = front_end.spread(relevance)
    rows, columns = spread.sum(1).nonzero().flatten(), spread.sum(0).nonzero().flatten()
    hertz = rows * 22050 / front_end.window
    centres = front_end.frequencies
    assert centres[19] < hertz.min() and hertz.max() < centres[21]  # a triangle ends where its neighbours peak
    seconds = columns * front_end.hop / 22050
    assert bool(((seconds - front_end.times[30]).abs() < 4 / 64).all())
    peak = hertz[spread.sum(1)[rows].argmax()]
    assert abs(peak - centres[20]) < 22050 / front_end.window
    assert float(spread.min()) >= 0  # no relevance against where there was none


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"high_hz": 12000.0}, "half of data.clip.sample_rate"),
        ({"low_hz": 5000.0, "high_hz": 400.0}, "must be below high_hz=400"),
        ({"hop_seconds": 0.5}, "at most one of 64 columns"),
        ({"floor": 0.0}, "below 0 dB"),
    ],
)
def test_mistakes(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(Mistake, match=sentence):
        LogMel(22050, 4.0, **options)


def test_the_longest_hop_is_named() -> None:
    with pytest.raises(Mistake, match=r"at most one of 64 columns") as caught:
        LogMel(8000, 0.5, hop_seconds=0.012)
    shortest, longest = map(float, re.findall(r"choose from (\S+) to (\S+)\.$", str(caught.value))[0])
    for hop_seconds in (shortest, longest):
        assert LogMel(8000, 0.5, hop_seconds=hop_seconds).hop in (1, 62)
    for hop_seconds in (0.4 * shortest, longest + 1 / 8000):
        with pytest.raises(Mistake, match="at most one of 64 columns"):
            LogMel(8000, 0.5, hop_seconds=hop_seconds)


def test_clips_of_another_length() -> None:
    with pytest.raises(Mistake, match="clips of 88200 samples, not 8000"):
        LogMel(22050, 4.0)(torch.zeros(1, 1, 8000))


@pytest.mark.parametrize("rate, window_seconds, bands", [(8000, 0.016, 64), (16000, 0.025, 128)])
def test_bands_without_frequencies_are_said_and_their_relevance_is_kept(
    rate: int, window_seconds: float, bands: int, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torchaudio's names options that are not ours
        front_end = LogMel(rate, 1.0, bands=bands, window_seconds=window_seconds, hop_seconds=0.01, low_hz=0.0)
    filters = librosa.filters.mel(sr=rate, n_fft=front_end.window, n_mels=bands, fmin=0.0, htk=True, norm=None)
    assert int((filters.sum(1) == 0).sum()) == int(front_end.empty.sum())
    assert f"{int(front_end.empty.sum())} of {bands} bands hold no frequency" in caplog.text
    relevance = torch.rand(2, bands, 64, generator=torch.Generator().manual_seed(0))
    spread = front_end.spread(relevance)
    assert bool(spread.isfinite().all())
    torch.testing.assert_close(spread.sum((-2, -1)), relevance.sum((-2, -1)))
    alone = torch.zeros(bands, 64)
    band = int(front_end.empty.nonzero()[-1])
    alone[band, 10] = 1
    row = int(front_end.spread(alone).sum(1).argmax())
    assert row * rate / front_end.window == pytest.approx(
        float(front_end.frequencies[band]), abs=rate / front_end.window
    )


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", ["mel", "constant_q"])
def test_it_computes_in_single_precision_in_any_network(kind: str, precision: torch.dtype) -> None:
    front_end = LogMel(16000, 1.0) if kind == "mel" else ConstantQ(16000, 1.0, low_hz=80.0, rows=48)
    waveform = noise(samples=16000).to(precision)
    wanted = front_end(waveform.float())
    spectrogram = front_end.to(precision)(waveform)
    assert spectrogram.dtype == precision
    torch.testing.assert_close(spectrogram, wanted.to(precision))
