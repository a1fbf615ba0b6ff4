"""LRP through whole networks: of every kind of operation, against gradients and zennit; and what is refused."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from zennit.layer import Sum

from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.attribution.lrp import LRP
from auscult.explain.attribution.options import COMPOSITES
from auscult.mistake import Mistake

TARGET = torch.tensor([2, 0])


class Net(nn.Module):
    """A network of given parts and forward pass, (B, 2, 8) -> (B, 3)."""

    def __init__(self, forward, **parts: nn.Module) -> None:
        super().__init__()
        self.way = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


class Clamped(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return input.clamp(0, 6)


class Standardized(nn.Conv1d):
    def forward(self, input: Tensor) -> Tensor:
        return F.conv1d(input, self.weight - self.weight.mean(), self.bias)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        return input * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class Late(nn.Module):
    """Multiplies its values one after the other."""

    def forward(self, input: Tensor) -> Tensor:
        return input.cumprod(-1)


def parts() -> dict[str, nn.Module]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old_weight_norm = nn.utils.weight_norm(nn.Conv1d(2, 2, 1))
    return {
        "conv": nn.Conv1d(2, 2, 3, padding=1), "relu": nn.ReLU(), "dense": nn.Linear(16, 3), "square": nn.Linear(8, 8),
        "flatten": nn.Flatten(), "norm": nn.BatchNorm1d(2), "lstm": nn.LSTM(8, 8, batch_first=True),
        "gru": nn.GRU(2, 1, 2, bidirectional=True), "attention": nn.MultiheadAttention(8, 2, batch_first=True),
        "clamped": Clamped(), "standard": Standardized(2, 2, 1), "normed": weight_norm(nn.Conv1d(2, 2, 1)),
        "block": nn.Sequential(nn.Conv1d(2, 2, 1), nn.GELU()), "softmax": nn.Softmax(1), "sum": Sum(-1),
        "mean": nn.AvgPool1d(2, 2), "small": nn.Linear(8, 3), "up": nn.ConvTranspose1d(2, 2, 1), "pad": nn.ZeroPad1d(1),
        "spectral": nn.utils.spectral_norm(nn.Linear(8, 8)), "weighed": old_weight_norm, "late": Late(),
        "moving": nn.BatchNorm1d(2, track_running_stats=False), "group": nn.GroupNorm(2, 2),
        "cell": nn.GRUCell(8, 8), "logs": nn.LogSoftmax(1),
    }  # fmt: skip


def built(forward) -> Net:
    torch.manual_seed(0)
    return Net(forward, **parts()).double()


def end(net: Net, x: Tensor) -> Tensor:
    return net.dense(net.flatten(x))


def clips(count: int = 2) -> Tensor:
    return torch.randn(count, 2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def added(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    y.add_(x)  # whose result is not used
    y[:, 0] = net.relu(y[:, 0])
    return end(net, y)


def no_gradient(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        scale = net.conv(x).abs().amax(2, keepdim=True)
    return end(net, x * scale)


def pooled(net: Net, x: Tensor) -> Tensor:
    x = x.transpose(1, 2)
    states = net.gru(x.transpose(0, 1))[0].transpose(0, 1)  # (B, 8, 2)
    weights = F.softmax(states.sum(-1, keepdim=True), 1)
    return net.dense((weights * states).repeat(1, 1, 1).flatten(1))


KNOWN = {
    "used twice": lambda net, x: end(net, net.conv(net.conv(x))),
    "activation twice": lambda net, x: end(net, net.relu(net.conv(net.relu(x)))),
    "F.relu": lambda net, x: end(net, F.relu(net.conv(x))),
    "torch.relu": lambda net, x: end(net, torch.relu(net.conv(x))),
    "relu_": lambda net, x: end(net, net.conv(x).relu_()),
    "gelu": lambda net, x: end(net, F.gelu(x)),
    "sigmoid": lambda net, x: end(net, x.sigmoid()),
    "clamp": lambda net, x: end(net, x.clamp(min=0)),
    "abs": lambda net, x: end(net, x.abs()),
    "F.conv1d": lambda net, x: end(net, F.conv1d(x, net.conv.weight, padding=1)),
    "forward itself": lambda net, x: end(net, net.conv.forward(x)),
    "F.linear": lambda net, x: end(net, F.linear(x, net.square.weight)),
    "matmul": lambda net, x: end(net, x @ net.square.weight),
    "residual": lambda net, x: end(net, x + net.conv(x)),
    "residual in place": added,
    "zennit's sum": lambda net, x: end(net, net.sum(torch.stack([x, net.conv(x)], -1))),
    "mean": lambda net, x: net.small(x.mean(1)),
    "scale": lambda net, x: end(net, 0.5 * x),
    "LSTM": lambda net, x: end(net, net.lstm(x)[0]),
    "GRU and attention pooling": pooled,
    "batch norm": lambda net, x: end(net, net.norm(net.conv(x))),
    "batch norm first": lambda net, x: end(net, net.conv(net.norm(x))),
    "group norm": lambda net, x: end(net, net.group(net.conv(x)) + x),
    "attention": lambda net, x: end(net, net.attention(x, x, x)[0]),
    "softmax": lambda net, x: net.softmax(end(net, x)),
    "log-softmax": lambda net, x: net.logs(end(net, x)),
    "sigmoids": lambda net, x: end(net, x).sigmoid(),
    "activation of one's own": lambda net, x: end(net, net.clamped(x)),
    "layer of one's own": lambda net, x: end(net, net.standard(x)),
    "weight norm": lambda net, x: end(net, net.normed(x)),
    "old weight norm": lambda net, x: end(net, net.weighed(x)),
    "spectral norm": lambda net, x: end(net, net.spectral(x)),
    "block and factor": lambda net, x: end(net, net.block(x) * 2),
    "part of a block": lambda net, x: end(net, net.block[1](net.block(x))),
    "branches": lambda net, x: end(net, torch.cat([net.conv(x)[:, :1], net.relu(x)[:, 1:]], 1)),
    "moves": lambda net, x: end(net, net.up(x.flip(-1).transpose(1, 2).reshape(-1, 8, 2).movedim(1, 2).roll(1, -1))),
    "pads": lambda net, x: end(net, net.conv(F.pad(x, (1, 0)))[..., :8]),
    "pools": lambda net, x: end(net, F.interpolate(net.mean(F.max_pool1d(net.conv(x), 2)), 8)),
    "maxima": lambda net, x: net.small(net.conv(x).amax(1)),
    "inner constants": lambda net, x: end(net, net.conv(x)[..., torch.arange(8) // 2 * 2]),
    "constants inside": no_gradient,
    "no gradient inside": lambda net, x: end(net, net.conv(x) * (x > 0)),
}  # fmt: skip


def error_of(attribution: LRP, network: nn.Module, input: Tensor) -> Tensor:
    """What is missing of each logit, relative to it."""
    relevance = attribution(network, input, TARGET)
    logit = network.eval()(input).gather(1, TARGET[:, None])[:, 0].detach()
    total = relevance.flatten(1).sum(1) + attribution.biases + attribution.unshared
    return ((total - logit) / logit).abs()


@pytest.mark.parametrize("what", KNOWN)
def test_relevance_adds_up_to_the_logit(what):
    network, input = built(KNOWN[what]), clips()
    modes = [module.training for module in network.modules()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    assert error_of(LRP("epsilon"), built(KNOWN[what]), input).max() < 1e-4
    for composite in COMPOSITES:
        relevance = LRP(composite)(network, input, TARGET)
        assert relevance.shape == input.shape and relevance.isfinite().all() and relevance.any()
    assert modes == [module.training for module in network.modules()]
    assert flags == [parameter.requires_grad for parameter in network.parameters()]
    assert not any("forward" in module.__dict__ or module._forward_hooks for module in network.modules())


PIECEWISE_LINEAR = [
    "used twice", "activation twice", "F.relu", "relu_", "clamp", "F.conv1d", "matmul", "residual", "residual in place",
    "zennit's sum", "mean", "scale", "batch norm", "batch norm first", "weight norm", "old weight norm",
    "spectral norm", "branches", "moves", "pads", "pools", "maxima", "inner constants", "log-softmax",
    "layer of one's own",
]  # fmt: skip


@pytest.mark.parametrize("what", PIECEWISE_LINEAR)
def test_epsilon_is_gradient_times_input(what):
    """Of networks that are linear in pieces, up to constants: those of biases, residuals, batch norm and softmax."""
    network, input = built(KNOWN[what]).eval(), clips()
    logits = network if what != "log-softmax" else built(lambda net, x: end(net, x)).eval()
    expected = GradientXInput()(logits, input, TARGET)
    found = LRP("epsilon", epsilon=1e-12)(network, input, TARGET)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("what", ["softmax", "sigmoids", "log-softmax"])
def test_relevance_of_a_probability_is_that_of_its_logit(what):
    bare = built(lambda net, x: end(net, x))
    attribution = LRP("epsilon_plus")
    expected = attribution(bare, clips(), TARGET)
    torch.testing.assert_close(attribution(built(KNOWN[what]), clips(), TARGET), expected, rtol=1e-4, atol=1e-7)


# ---- refused

SCRIPT = torch.jit.CompilationUnit("def doubled(x):\n    return x.sin()\n").doubled
REFUSED = {
    "cumprod": (lambda net, x: end(net, net.late(x)), r"network.late \(Late\) applies cumprod \(.*_networks.py:\d+\)"),
    "statistics of the batch": (lambda net, x: end(net, net.moving(x)), r"network.moving \(BatchNorm1d\) applies b"),
    "computed weights": (lambda net, x: end(net, F.conv1d(x, x[0, :, :2, None])), "conv1d with computed weights"),
    "packed": (
        lambda net, x: end(net, nn.utils.rnn.pad_packed_sequence(
            net.lstm(nn.utils.rnn.pack_padded_sequence(x, [2] * len(x), batch_first=True))[0], batch_first=True)[0]),
        r"network.lstm \(LSTM\) applies LSTM to packed sequences",
    ),
    "a function of one's own": (lambda net, x: end(net, Doubled.apply(x)), "uses Doubled, an autograd function"),
    "TorchScript": (lambda net, x: end(net, SCRIPT(x)), "applies sin where its rule cannot see it"),
    "complex numbers": (lambda net, x: end(net, torch.fft.rfft(x, n=14).angle()), "applies angle"),
    "chance": (lambda net, x: end(net, F.dropout(x)), "other outputs from one pass to the next"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_network_that_relevance_would_be_wrong_for_is_refused(what):
    forward, message = REFUSED[what]
    network = built(forward)
    with pytest.raises(Mistake, match=message) as refusal, torch.inference_mode():
        LRP()(network, clips(), TARGET)
    assert str(refusal.value).startswith("LRP would be wrong: ")
    assert what == "chance" or str(refusal.value).endswith("or choose attribution=integrated_gradients.")
    assert network.training and all(not module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_all_flaws_are_named_at_once():
    def forward(net: Net, x: Tensor) -> Tensor:
        x = net.late(net.moving(x))
        return end(net, torch.cumprod(x, 1))

    with pytest.raises(Mistake) as refusal:
        LRP()(built(forward), clips(), TARGET)
    message = str(refusal.value)
    assert message.count("test_networks.py:") == 3 and message.count("cumprod") == 2
    for part in ("network.moving (BatchNorm1d)", "network.late (Late)", "network (Net)"):
        assert part in message


def test_a_module_may_bring_its_own_rule():
    class Cubed(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            return input.cumprod(-1)

        def relevance_of_input(self, input: Tensor, relevance: Tensor) -> Tensor:
            return relevance.flip(-1)

    network = nn.Sequential(nn.Flatten(), Cubed(), nn.Linear(16, 3)).double()
    attribution = LRP("epsilon")
    found = attribution(network, clips(), TARGET)
    names = [node.name for node in attribution.audit(network, clips(), TARGET)]
    assert names == ["0.flatten", "1", "2.linear"]
    values = clips().flatten(1).cumprod(-1)
    expected = (values * network[2].weight[TARGET]).flip(-1).view_as(found)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-7)


# ---- zennit


@pytest.mark.slow
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus"])
def test_resnet_is_that_of_zennit(composite):
    """Its sums of residuals, and each BatchNorm folded by `torch.nn.utils.fusion`, as zennit's folding fails today."""
    from torchvision.models import resnet18
    from zennit.attribution import Gradient
    from zennit.composites import LayerMapComposite, layer_map_base
    from zennit.rules import Epsilon, ZPlus
    from zennit.torchvision import ResNetBasicBlockCanonizer
    from zennit.types import Convolution, Linear

    torch.manual_seed(0)
    network = resnet18(num_classes=3).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data = torch.rand_like(tensor) + 0.5
    input = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    found = LRP(composite, epsilon=1e-12)(network, input, TARGET)
    for block in [network, *(part for part in network.modules() if hasattr(part, "conv2"))]:
        for number in (1, 2):
            if hasattr(block, f"conv{number}"):
                fused = nn.utils.fusion.fuse_conv_bn_eval(
                    getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
                )
                setattr(block, f"conv{number}", fused)
                setattr(block, f"bn{number}", nn.Identity())
        if getattr(block, "downsample", None) is not None:
            block.downsample = nn.utils.fusion.fuse_conv_bn_eval(*block.downsample)
    canonizers = [ResNetBasicBlockCanonizer()]
    convolution = Epsilon(1e-12) if composite == "epsilon" else ZPlus()
    layers = [*layer_map_base(stabilizer=1e-12), (Convolution, convolution), (Linear, Epsilon(1e-12))]
    by_hand = LayerMapComposite(layers, canonizers=canonizers)
    with Gradient(network, by_hand) as attributor:
        _, expected = attributor(input.clone(), lambda output: output * F.one_hot(TARGET, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * expected.abs().max().item())


# ---- what lies between, and what becomes of relevance


class Branched(nn.Module):
    """A convolution with batch norm, a branch around another one, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Conv1d(3, 3, 1)
        self.head = nn.Linear(18, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv1(x)))
        return self.head((x + F.relu(self.conv2(x))).flatten(1))


def branched() -> Branched:
    torch.manual_seed(0)
    network = Branched().double().eval()
    network.norm.running_mean.normal_()
    nn.init.normal_(network.norm.bias)
    return network


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus"])
def test_relevance_of_the_layers_between(composite):
    """It is that of the input of the rest of the network."""
    network, input = branched(), clips()
    names = ["relu", "relu#2", "add", "norm.batch_norm"]
    found = LRP(composite).between(network, input, TARGET, names)
    hidden = F.relu(network.norm(network.conv1(input))).detach()

    class Rest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv2, self.head = network.conv2, network.head

        def forward(self, x: Tensor) -> Tensor:
            return self.head((x + F.relu(self.conv2(x))).flatten(1))

    torch.testing.assert_close(found["relu"], LRP(composite)(Rest().eval(), hidden, TARGET))
    torch.testing.assert_close(found["norm.batch_norm"], found["relu"])  # an activation passes relevance on
    added = (hidden + F.relu(network.conv2(hidden))).detach()
    head = nn.Sequential(nn.Flatten(), network.head).eval()
    torch.testing.assert_close(found["add"], LRP(composite)(head, added, TARGET))
    assert list(found) == names and found["relu#2"].any()


def test_what_has_no_relevance_between_is_said():
    network, input = branched(), clips()
    with pytest.raises(
        Mistake, match=r"conv3 is no operation of the network; choose one of conv2\.conv1d, conv1\.conv1d, …"
    ):
        LRP().between(network, input, TARGET, ["conv3"])
    with pytest.raises(Mistake, match=r"conv1\.conv1d has no relevance of its own; name what follows it, such as"):
        LRP().between(network, input, TARGET, ["conv1.conv1d"])


def test_an_audit_accounts_for_all_relevance():
    network, input = branched(), clips()
    attribution = LRP("epsilon_plus")
    relevance = attribution(network, input, TARGET)
    nodes = {node.name: node for node in attribution.audit(network, input, TARGET)}
    logits = network(input).gather(1, TARGET[:, None])
    total = float(logits.sum())
    assert nodes["head.linear"].sums["output"] == pytest.approx(total)
    assert nodes["norm.batch_norm"].sums["inputs"] == pytest.approx(float(relevance.sum()))
    assert nodes["norm.batch_norm"].sums["size"] == pytest.approx(float(relevance.abs().sum()))
    assert not nodes["conv1.conv1d"].sums  # it is part of the batch norm
    assert nodes["relu"].place.endswith(".py:" + nodes["conv1.conv1d"].place.rpartition(":")[2])
    for node in nodes.values():
        if node.sums:
            parts = node.sums["inputs"] + node.sums["kept"] + node.sums["unshared"]
            assert parts == pytest.approx(node.sums["output"], rel=1e-4)
    kept = sum(node.sums["kept"] for node in nodes.values() if node.sums)
    assert kept == pytest.approx(float(attribution.biases.sum()), rel=1e-6)


@pytest.mark.parametrize("composite", ["epsilon", "attnlrp"])
@pytest.mark.parametrize(
    "layer",
    [nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), nn.LSTM(6, 3, 2, batch_first=True, bidirectional=True)],
)
def test_an_audit_follows_relevance_through_operations_of_many_parts(layer, composite):
    """What an operation hands on reaches the one before it: rows of the table chain, also through attention."""

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = layer, nn.Linear(6, 3)
            self.double().eval()

        def forward(self, x):
            hidden = self.layer(x.mT)
            return self.head((hidden if isinstance(hidden, Tensor) else hidden[0]).mean(1))

    torch.manual_seed(0)
    network, input = Wrapped(), torch.randn(2, 6, 9, dtype=torch.float64)
    attribution = LRP(composite, epsilon=1e-9)
    relevance = attribution(network, input, TARGET)
    nodes = {node.name: node.sums for node in attribution.audit(network, input, TARGET) if node.sums}
    logits = network(input).gather(1, TARGET[:, None])
    assert nodes["head.linear"]["output"] == pytest.approx(float(logits.sum()))
    assert nodes["mean"]["output"] == pytest.approx(nodes["head.linear"]["inputs"])
    for name in nodes:
        if name.endswith("lstm"):
            assert nodes[name]["output"] == pytest.approx(nodes["mean"]["inputs"])
            assert nodes[name]["inputs"] == pytest.approx(float(relevance.sum()))
        if name.endswith("scaled_dot_product_attention"):
            assert nodes[name]["output"] == pytest.approx(nodes["layer.self_attn.linear#2"]["inputs"])
            assert nodes["layer.self_attn.linear"]["output"] == pytest.approx(nodes[name]["inputs"])
