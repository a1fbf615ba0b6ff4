import pytest
import torch
from torch import nn

from auscult.mistake import Mistake
from auscult.modules.networks.melcnn import MelCNN


def test_the_original_has_as_many_parameters() -> None:
    assert sum(weight.numel() for weight in MelCNN(10, channels=3).parameters()) == 1_958_730
    assert sum(weight.numel() for weight in MelCNN(10).parameters()) == 1_958_730 - 2 * 32 * 9


def test_sizes_are_the_originals() -> None:
    sizes, network = [], MelCNN(10)
    for layer in network.layers:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda module, input, output: sizes.append(output.shape[-1]))
    network(torch.zeros(1, 1, 64, 64))
    assert sizes == [62, 60, 30, 28, 26, 13, 11, 9, 5]


def test_pools_are_tensorflows_same() -> None:
    # windows of 3, a step of 2, padded by (output - 1) * 2 + 3 - input in all, the smaller half of it in front
    network = MelCNN(1)
    for name, size, before in (("pool1", 60, 0), ("pool2", 26, 0), ("pool3", 9, 1)):
        row = torch.randn(size)
        padded = torch.cat([torch.full((before,), -9.0), row, torch.full((1,), -9.0)])
        expected = padded.unfold(0, 3, 2).amax(1)
        pooled = network.layers.get_submodule(name)(row.expand(1, 1, size, size))[0, 0, 0]
        assert torch.equal(pooled, expected)


def test_logits_are_small_at_first() -> None:
    logits = MelCNN(10).eval()(torch.rand(8, 1, 64, 64))
    assert logits.shape == (8, 10) and 0 < logits.std().item() < 2


def test_another_input_is_a_mistake() -> None:
    with pytest.raises(Mistake, match=r"model.network.channels=3"):
        MelCNN(10)(torch.zeros(1, 3, 64, 64))
    with pytest.raises(Mistake, match=r"gives \(1, 64, 32\)"):
        MelCNN(10)(torch.zeros(1, 1, 64, 32))
