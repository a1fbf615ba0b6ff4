import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.modules.networks.audionet import AudioNet


def in_order(network: nn.Module, x: Tensor) -> tuple[list[nn.Module], dict[str, Tensor]]:
    """Leaf modules in the order in which a forward pass calls them, and what each gave."""
    called: list[nn.Module] = []
    outputs: dict[str, Tensor] = {}
    names = {module: name.removeprefix("layers.") for name, module in network.named_modules()}

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        called.append(module)
        outputs[names[module]] = output

    handles = [leaf.register_forward_hook(note) for leaf in network.modules() if not list(leaf.children())]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return called, outputs


def conv1d(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Cross-correlation of (C, T) with (O, C, 3), padded by one on each side, tap by tap."""
    padded = np.pad(x, ((0, 0), (1, 1)))
    taps = sum(weight[:, :, k] @ padded[:, k : k + x.shape[1]] for k in range(3))
    return taps + bias[:, None]


def caffe_max_pool(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Caffe's pooling of (C, T): as many windows as are needed to cover the end, the last one cut short."""
    windows = -(-(x.shape[1] - kernel) // stride) + 1
    return np.stack([x[:, i * stride : i * stride + kernel].max(axis=1) for i in range(windows)], axis=1)


def slow_audionet(network: AudioNet, x: np.ndarray, dense_relu: bool) -> np.ndarray:
    """Logits of one waveform (1, T), in float64 and without PyTorch."""
    weights = {name.removeprefix("layers."): p.detach().double().numpy() for name, p in network.named_parameters()}
    for block in range(1, 7):
        x = np.maximum(conv1d(x, weights[f"conv{block}.weight"], weights[f"conv{block}.bias"]), 0)
        pairs = x[:, : x.shape[1] // 2 * 2].reshape(len(x), -1, 2)
        x = caffe_max_pool(x, kernel=3, stride=2) if block == 1 else pairs.max(axis=-1)
    x = x.ravel()
    for layer in range(1, 4):
        x = weights[f"fc{layer}.weight"] @ x + weights[f"fc{layer}.bias"]
        if dense_relu and layer < 3:
            x = np.maximum(x, 0)
    return x


def test_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in AudioNet(10).parameters()) == 17_107_162


def test_each_layer_has_the_published_shape() -> None:
    _, outputs = in_order(AudioNet(10).eval(), torch.randn(2, 1, 8000))
    shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
    blocks = [(100, 8000), (64, 4000), (128, 2000), (128, 1000), (128, 500), (128, 250)]
    for block, (channels, length) in enumerate(blocks, start=1):
        assert shapes[f"conv{block}"] == shapes[f"relu{block}"] == (channels, length)
        assert shapes[f"pool{block}"] == (channels, length // 2)
    assert (shapes["flatten"], shapes["fc1"], shapes["fc2"], shapes["fc3"]) == (
        (16_000,),
        (1024,),
        (512,),
        (10,),
    )


@pytest.mark.parametrize("dense_relu", [False, True])
def test_every_layer_is_called_once_in_the_order_of_registration(dense_relu: bool) -> None:
    network = AudioNet(3, dense_relu=dense_relu, samples=640)
    called, _ = in_order(network, torch.randn(2, 1, 640))
    assert called == [module for module in network.modules() if not list(module.children())]
    assert sum(isinstance(module, nn.ReLU) for module in called) == (8 if dense_relu else 6)


@pytest.mark.parametrize("dense_relu", [False, True])
@pytest.mark.parametrize(
    "samples", [640, 701]
)  # an odd length ends with the first pool's window, an even one cuts it short
def test_logits_are_those_of_a_slow_computation(dense_relu: bool, samples: int) -> None:
    torch.manual_seed(0)
    network = AudioNet(4, dense_relu=dense_relu, samples=samples).eval()
    x = torch.randn(2, 1, samples)
    slow = [slow_audionet(network, clip.double().numpy(), dense_relu) for clip in x]
    np.testing.assert_allclose(network(x).detach().numpy(), slow, atol=1e-5)


def test_published_start_is_gaussian_with_zero_biases() -> None:
    torch.manual_seed(0)
    for name, parameter in AudioNet(10, published=True, samples=640).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            error = 0.1 / (2 * parameter.numel()) ** 0.5  # of an estimated standard deviation
            assert abs(parameter.std().item() - 0.1) < 4 * error, name
            assert abs(parameter.mean().item()) < 4 * 0.1 / parameter.numel() ** 0.5, name


def test_dropout_follows_the_first_two_dense_layers() -> None:
    names = [name for name, _ in AudioNet(2, dense_relu=True, dropout=0.3, samples=64).layers.named_children()]
    dense = ["flatten", "fc1", "relu7", "dropout1", "fc2", "relu8", "dropout2", "fc3"]
    assert names[-8:] == dense
    network = AudioNet(2, dropout=0.3, samples=64)
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.3, 0.3]


def test_another_length_is_refused_by_the_option_to_change() -> None:
    with pytest.raises(Mistake, match=r"640 samples, not 1280.*model\.network\.samples=1280"):
        AudioNet(2, samples=640)(torch.zeros(1, 1, 1280))
