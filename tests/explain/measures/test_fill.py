import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from auscult.build import build
from auscult.explain.measures.fill import Fill, Mean, Noise, Silence, Zero
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform
from auscult.program.conf import CONF

FRONT_ENDS = [NormalizedWaveform(), DecibelSpectrogram(), DecibelSpectrogram(raw_decibels=True)]


def words(clips: int = 3) -> Tensor:
    """Noise at various levels, embedded in silence, (clips, 1, 8000)."""
    waveform = torch.zeros(clips, 1, 8000)
    for clip in range(clips):
        noise = torch.randn(2000, generator=torch.Generator().manual_seed(clip))
        waveform[clip, 0, 3000:5000] = 0.3 * noise / (clip + 1)
    return waveform


def no_pass() -> list[Tensor]:
    raise AssertionError("this fill has no need of a pass over the data set")


@pytest.mark.parametrize("path", sorted((CONF / "fill").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_fill_of_the_configuration_builds_and_keeps_the_shape(path):
    node = yaml.safe_load(path.read_text())
    assert node.pop("name") == path.stem
    silence = torch.zeros(1, 1, 8000)
    fill = build(node, "fill", silence, lambda: [words()])
    assert isinstance(fill, Fill)
    filled = fill(words())
    assert filled.shape == (3, 1, 8000) and filled.dtype == torch.float32


@pytest.mark.parametrize("front_end, value", zip(FRONT_ENDS, (0.0, 0.0, -80.0), strict=True))
def test_silence_is_what_the_front_end_makes_of_it(front_end, value):
    silence = front_end(torch.zeros(1, 1, 8000))
    filled = Silence(silence, no_pass)(front_end(words()))
    assert filled.shape == front_end(words()).shape
    assert (filled == value).all()


def test_zero_is_zero_also_where_silence_is_not():
    front_end = DecibelSpectrogram(raw_decibels=True)
    assert not Zero(front_end(torch.zeros(1, 1, 8000)), no_pass)(front_end(words())).any()


def test_noise_has_each_clips_level():
    clips = words()
    noise = Noise(torch.zeros(1, 1, 8000), no_pass)(clips)
    expected = clips[:, 0, 3000:5000].square().mean(-1).sqrt()
    torch.testing.assert_close(noise[:, 0].square().mean(-1).sqrt(), expected, rtol=0.05, atol=0)
    assert noise[0].mean().abs() < 0.05 * expected[0]


def test_noise_is_about_silence_and_within_the_clips_range():
    front_end = DecibelSpectrogram(raw_decibels=True)
    spectrogram = front_end(words())
    noise = Noise(front_end(torch.zeros(1, 1, 8000)), no_pass)(spectrogram)
    assert noise.min() == -80 and noise.max() <= 0
    assert 0.45 < (noise == -80).float().mean() < 0.55  # the half of the draw that would lie below the floor


def test_noise_hangs_on_seed_and_clip_alone():
    silence, clips = torch.zeros(1, 1, 8000), words()
    fill = Noise(silence, no_pass, seed=1)
    state = torch.get_rng_state()
    together = fill(clips)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(together, torch.cat([fill(clip[None]) for clip in clips]))
    assert not torch.equal(together, Noise(silence, no_pass, seed=2)(clips))


def test_noise_of_a_silent_clip_is_silence():
    assert not Noise(torch.zeros(1, 1, 8000), no_pass)(torch.zeros(2, 1, 8000)).any()


def test_mean_is_that_of_all_clips_however_they_are_batched():
    clips = words(5)
    fill = Mean(torch.zeros(1, 1, 8000), lambda: iter([clips[:3], clips[3:]]))
    filled = fill(clips[:2])
    expected = clips.double().numpy().mean(0)
    np.testing.assert_allclose(filled[0], expected, atol=1e-7)
    assert torch.equal(filled[0], filled[1])
