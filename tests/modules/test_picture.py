"""Audio-LRP's pictures against what draws them there: librosa's constant-Q transform and matplotlib's colours."""

import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from matplotlib import colormaps

from auscult.mistake import Mistake
from auscult.modules.colours import Colours
from auscult.modules.picture import ConstantQPicture

ESC10 = Path(os.environ.get("AUSCULT_SHARED", "../shared")) / "data/esc10/audio"
RATE = 22050


def published(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level from 0 to 1, (64, 64), and its colours, (3, 64, 64), by the libraries of the original."""
    decibels = librosa.amplitude_to_db(np.abs(librosa.cqt(samples, sr=RATE)), ref=np.max)  # (84, 173)
    scaled = (decibels - decibels.min()) / (decibels.max() - decibels.min())  # as pcolormesh does
    rows, columns = (((np.arange(64) + 0.5) * size / 64).astype(int) for size in scaled.shape)  # nearest neighbours
    level = scaled[np.ix_(rows, columns)]
    return level, colormaps["magma"](level)[..., :3].transpose(2, 0, 1)


def compared(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far off level and colours are."""
    level = ConstantQPicture(RATE, 4.0)(torch.from_numpy(samples).float().view(1, 1, -1))
    expected, colours = published(samples.astype(np.float32))
    return np.abs(level[0, 0].numpy() - expected), np.abs(Colours("magma")(level)[0].numpy() - colours)


def test_a_chirp_in_noise_is_drawn_as_librosa_draws_it() -> None:
    noise = np.random.default_rng(0).standard_normal(88200)
    chirp = librosa.chirp(fmin=60, fmax=3500, sr=RATE, length=88200)
    for share in (0.3, 0.1, 0.01):
        level, colours = compared(0.2 * chirp + share * noise)
        assert level.mean() < 0.02 and np.percentile(level, 95) < 0.07, share
        assert colours.mean() < 0.02 and np.percentile(colours, 95) < 0.07, share


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not ESC10.exists(), reason="needs ESC-10 in $AUSCULT_SHARED")
def test_real_sounds_are_drawn_as_librosa_draws_them() -> None:
    """The figures of `ConstantQPicture`'s docstring."""
    for path in sorted(ESC10.iterdir())[:320:40]:
        samples, rate = soundfile.read(path)
        clip = librosa.resample(samples, orig_sr=rate, target_sr=RATE)[:88200]
        _, colours = compared(np.pad(clip, (0, 88200 - len(clip))))
        assert colours.mean() < 0.03 and np.percentile(colours, 95) < 0.07, path.name


def test_rows_and_columns_are_where_they_say() -> None:
    front_end = ConstantQPicture(RATE, 4.0)
    assert front_end.frequencies.shape == front_end.times.shape == (64,)
    assert front_end.frequencies[0] == pytest.approx(32.7032, abs=1e-3)  # the note C1
    notes = 12 * torch.log2(front_end.frequencies / front_end.frequencies[0])
    assert torch.equal(notes.round(), ((torch.arange(64) + 0.5) * 84 / 64).floor())
    time = torch.arange(88200) / RATE
    for row in (10, 31, 60):
        hertz = float(front_end.frequencies[row])
        burst = torch.sin(2 * torch.pi * hertz * time) * torch.exp(-(((time - 2.5) / 0.2) ** 2))
        drawn = front_end(burst.view(1, 1, -1))[0, 0]
        assert int(drawn.amax(1).argmax()) == row and drawn.max() > 0.99
        assert abs(float(front_end.times[drawn[row].argmax()]) - 2.5) < 0.07


def test_silence_is_nothing_and_slow_rates_are_refused() -> None:
    front_end = ConstantQPicture(RATE, 4.0)
    assert torch.equal(front_end(torch.zeros(1, 1, 88200)), torch.zeros(1, 1, 64, 64))
    for rate, seconds in ((7000, 10.0), (8000, 4.0), (22050, 1.0)):
        with pytest.raises(Mistake, match=r"needs clips of 32768 samples or more, at 7902 Hz or more; choose"):
            ConstantQPicture(rate, seconds)
    with pytest.raises(Mistake, match="clips of 88200 samples, not 100"):
        front_end(torch.zeros(1, 1, 100))


def test_colours_are_matplotlibs() -> None:
    level = torch.linspace(0, 1, 4096).view(1, 1, 64, 64)
    colours = Colours("magma")(level)
    expected = colormaps["magma"](level[0, 0].double().numpy())[..., :3].transpose(2, 0, 1)
    step = np.abs(np.diff(colormaps["magma"](range(256))[:, :3], axis=0)).max()  # between two of its 256 colours
    assert colours.shape == (1, 3, 64, 64) and np.abs(colours[0].numpy() - expected).max() <= step < 0.02
    exact = torch.arange(256).view(1, 1, 1, 256) / 255
    np.testing.assert_allclose(Colours("magma")(exact)[0, :, 0].T, colormaps["magma"](range(256))[:, :3], atol=1e-5)
    assert torch.equal(Colours("magma")(level + 5), Colours("magma")(torch.ones_like(level)))
    with pytest.raises(Mistake, match="is no colour map"):
        Colours("rainbows")


def test_the_way_through_the_colours_has_a_slope() -> None:
    level = torch.full((1, 1, 2, 2), 0.3).requires_grad_()
    Colours("magma")(level).sum().backward()
    low, high = (colormaps["magma"](range(256))[place, :3].sum() for place in (76, 77))  # 0.3 of 255 is 76.5
    torch.testing.assert_close(level.grad, torch.full_like(level, 255 * (high - low)), rtol=1e-3, atol=0)
