import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import Tensor, nn

from auscult.modules.networks.alexnet import AlexNet


@pytest.fixture(scope="module")
def network() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(10).eval()


@pytest.fixture(scope="module")
def passed(network: AlexNet) -> tuple[list[nn.Module], dict[str, Tensor]]:
    """Leaf modules in the order in which a forward pass calls them, and what each gave."""
    called: list[nn.Module] = []
    outputs: dict[str, Tensor] = {}
    names = {module: name.removeprefix("layers.") for name, module in network.named_modules()}

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        called.append(module)
        outputs[names[module]] = output

    handles = [leaf.register_forward_hook(note) for leaf in network.modules() if not list(leaf.children())]
    with torch.no_grad():
        network(torch.rand(2, 1, 227, 227))
    for handle in handles:
        handle.remove()
    return called, outputs


def test_has_the_published_number_of_parameters(network: AlexNet) -> None:
    assert sum(p.numel() for p in network.parameters()) == 12_808_906


def test_each_layer_has_the_published_shape(passed: tuple[list[nn.Module], dict[str, Tensor]]) -> None:
    maps = {
        "conv1": (96, 55),
        "pool1": (96, 27),
        "conv2": (256, 27),
        "pool2": (256, 13),
        "conv3": (384, 13),
        "conv4": (384, 13),
        "conv5": (256, 13),
        "pool5": (256, 6),
    }
    shapes = {name: tuple(output.shape[1:]) for name, output in passed[1].items()}
    assert {name: shapes[name] for name in maps} == {name: (c, size, size) for name, (c, size) in maps.items()}
    assert (shapes["flatten"], shapes["fc1"], shapes["fc2"], shapes["fc3"]) == (
        (9216,),
        (1024,),
        (1024,),
        (10,),
    )


def test_every_layer_is_called_once_in_the_order_of_registration(
    network: AlexNet, passed: tuple[list[nn.Module], dict[str, Tensor]]
) -> None:
    assert passed[0] == [module for module in network.modules() if not list(module.children())]
    assert sum(isinstance(module, nn.ReLU) for module in passed[0]) == 7


def test_each_half_of_the_second_convolution_sees_half_of_the_maps(
    network: AlexNet, passed: tuple[list[nn.Module], dict[str, Tensor]]
) -> None:
    maps = passed[1]["pool1"][0].double().numpy()  # (96, 27, 27)
    weight, bias = (p.detach().double().numpy() for p in network.layers.get_submodule("conv2").parameters())
    padded = np.pad(maps, ((0, 0), (2, 2), (2, 2)))
    for out, half in ((5, slice(0, 48)), (200, slice(48, 96))):
        slow = correlate(padded[half], weight[out], mode="valid")[0] + bias[out]
        np.testing.assert_allclose(passed[1]["conv2"][0, out].numpy(), slow, atol=1e-5)


def test_published_start_has_the_published_deviations_and_biases() -> None:
    torch.manual_seed(0)
    parameters = dict(AlexNet(10, published=True).layers.named_parameters())
    narrow, raised = {"fc1", "fc2"}, {"conv2", "conv4", "conv5", "fc1", "fc2"}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"):
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        std = 0.005 if name in narrow else 0.01
        assert abs(weight.std().item() - std) < 4 * std / (2 * weight.numel()) ** 0.5, name
        assert bias.unique().tolist() == pytest.approx([0.1 if name in raised else 0.0]), name


def test_dropout_follows_the_first_two_dense_layers() -> None:
    layers = AlexNet(2, dropout=0.3).layers
    dense = ["flatten", "fc1", "relu6", "dropout1", "fc2", "relu7", "dropout2", "fc3"]
    assert [name for name, _ in layers.named_children()][-8:] == dense
    assert [module.p for module in layers if isinstance(module, nn.Dropout)] == [0.3, 0.3]


def test_default_start_keeps_the_signals_size() -> None:
    torch.manual_seed(0)
    network = AlexNet(10).eval()
    sizes = []
    for layer in network.layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, inputs, output: sizes.append(inputs[0].std().item()))
    network(torch.randn(2, 1, 227, 227))
    assert len(sizes) == 7 and all(0.3 < size < 10 for size in sizes), sizes
