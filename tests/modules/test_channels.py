"""Front ends, augmentation and networks with several channels."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform
from auscult.modules.augmentation import at_speed, noise_for, turned
from auscult.modules.classifier import Classifier
from auscult.modules.constant_q import ConstantQ
from auscult.modules.mel import LogMel
from auscult.modules.model import Model
from auscult.program import config
from auscult.program.conf import CONF

RATE = 8000
FRONT_ENDS = {
    "waveform": NormalizedWaveform(),
    "decibels": DecibelSpectrogram(),
    "mel": LogMel(RATE, 1.0),
    "constant q": ConstantQ(RATE, 1.0, rows=48),
}


def clips(count: int = 3, channels: int = 2) -> torch.Tensor:
    """Noise with channels of unequal loudness, (B, C, T)."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, RATE, generator=draw) * torch.tensor([0.1, 0.02, 0.05])[:channels, None]


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_front_ends_keep_channels_apart(name):
    front_end, waveform = FRONT_ENDS[name], clips()
    both = front_end(waveform)
    assert both.shape[:2] == (3, 2)
    torch.testing.assert_close(front_end(waveform.flip(1)), both.flip(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(front_end(7 * waveform), both, rtol=1e-4, atol=1e-4, msg="the level does not matter")
    same = waveform[:, :1].expand(-1, 2, -1)
    torch.testing.assert_close(front_end(same), front_end(same[:, :1]).expand_as(both), rtol=1e-4, atol=1e-5)


def test_channels_share_one_reference():
    """The soft channel is as far below the loud one in the spectrogram as in the waveform."""
    loud = clips()[:, :1]
    pair = torch.cat([loud, 0.1 * loud], 1)  # 20 dB below
    for front_end in (FRONT_ENDS["decibels"], FRONT_ENDS["mel"], FRONT_ENDS["constant q"]):
        upper, lower = front_end(pair).unbind(1)
        assert upper.amax((1, 2)) == pytest.approx(1, abs=1e-5)
        heard = lower > 0.01
        torch.testing.assert_close((upper - lower)[heard], torch.full_like(upper, 20 / 80)[heard], rtol=0, atol=1e-3)


def test_augmentation_does_the_same_to_all_channels():
    waveform, share = clips(channels=3), torch.tensor([0.1, -0.2, 0.0]).view(3, 1, 1)
    for changed, factor in ((turned, share), (at_speed, 1 + share)):
        result = changed(waveform, factor)
        torch.testing.assert_close(changed(waveform.flip(1), factor), result.flip(1))
        assert result.shape == waveform.shape and not torch.equal(result, waveform)
    for number in range(3):
        torch.testing.assert_close(
            turned(waveform, share)[:, number], turned(waveform[:, number : number + 1], share)[:, 0]
        )


def test_noise_has_one_level_in_all_channels():
    waveform = torch.cat([clips(channels=1), torch.zeros(3, 1, RATE)], 1)
    noise = noise_for(waveform, torch.full((3, 1, 1), 20.0))
    power = noise.square().mean((1, 2)) / (waveform.square().sum((1, 2)) / RATE)  # of the sounding channel
    torch.testing.assert_close(power, torch.full((3,), 0.01), rtol=1e-3, atol=0)
    assert not torch.equal(noise[:, 0], noise[:, 1])


def classifier_of(*overrides: str) -> tuple[Classifier, int]:
    """A classifier of the configuration, and its rate."""
    with initialize_config_dir(str(CONF), version_base=None):
        checked = config.check(compose("train", ["task=sex", *overrides]))
    torch.manual_seed(0)
    return Classifier.from_config(checked, ["male", "female"]), checked["data"]["clip"]["sample_rate"]


@pytest.mark.parametrize("name", ["audionet", "alexnet", "melcnn", "resnet", "m5", "cnn14", "crnn", "ast", "ds_cnn"])
def test_networks_that_ship_take_channels(name):
    classifier, rate = classifier_of(f"model={name}", "data.clip.channels=3")
    model = Model.of(classifier.eval(), rate, 3)
    input = model.front_end(clips(channels=3)).requires_grad_()
    logits = model.logits(input)
    assert logits.shape == (3, 2) and model.silence(RATE).shape[1] == 3
    logits[:, 0].sum().backward()
    assert input.grad is not None and (input.grad.flatten(2).abs().amax((0, 2)) > 0).all(), "each channel is used"


def test_a_network_of_one_channel_says_so():
    classifier, _ = classifier_of("model=wav2vec2", "data.clip.channels=2")
    with pytest.raises(
        Mistake, match=r"model=wav2vec2 takes clips of one channel, not 2: leave data\.clip\.channels out"
    ):
        classifier(clips())


@pytest.mark.parametrize("channels", [0, 1.5, True, "2"])
def test_no_number_of_channels(channels):
    with pytest.raises(Mistake, match=r"channels=.* is not a whole number"):
        Model(torch.nn.Identity(), classes=["a", "b"], sample_rate=RATE, channels=channels)
