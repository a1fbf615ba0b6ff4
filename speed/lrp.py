"""What LRP costs on networks of many kinds, in forward passes, and its memory over that of a training step.

    python -m speed.lrp
    python -m speed.lrp --networks audionet resnet --rounds 5 --threads 1
    python -m speed.lrp --networks ast_wide --batch 1           four layers of AST's published width

Fresh networks, a batch of noise, all sides in turns in one run, but for zennit, whose hooks would slow the others: it
has its turns before. The gradient is PyTorch's own, by autograd, which the rules cannot be faster than. Zennit by hand
is its EpsilonPlus, with hooks that are registered once, on networks that it can explain: those without batch
normalisation, sums and calls of functions, and ResNet by its canonizer. autoLRP has a column if it is installed
(`pip install autolrp`): its composite, epsilon with z-plus in convolutions.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from zennit.attribution import Gradient as ZennitGradient
from zennit.composites import EpsilonPlus
from zennit.torchvision import ResNetCanonizer

from auscult.explain.attribution.cost import peak_megabytes
from auscult.explain.attribution.gradients import Gradient
from auscult.explain.attribution.lrp import LRP
from auscult.machine import memory
from auscult.modules.classifier import lay_channels_last
from auscult.modules.networks import alexnet, ast, audionet, cnn14, crnn, ds_cnn, m5, melcnn, resnet, wav2vec2

Make = Callable[..., nn.Module]
WAVEFORM, PICTURE, LOG_MEL = (1, 8000), (1, 227, 227), (1, 64, 64)
NETWORKS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "audionet": (audionet.AudioNet, WAVEFORM), "alexnet": (alexnet.AlexNet, PICTURE),
    "melcnn": (melcnn.MelCNN, LOG_MEL),
    "m5": (m5.M5, WAVEFORM), "resnet": (resnet.ResNet, LOG_MEL), "cnn14": (cnn14.CNN14, LOG_MEL),
    "crnn": (crnn.CRNN, LOG_MEL), "ast": (ast.AST, LOG_MEL), "wav2vec2": (wav2vec2.Wav2Vec2, WAVEFORM),
    "ds_cnn": (ds_cnn.DSCNN, LOG_MEL),
}  # fmt: skip
WIDE = {"ast_wide": (partial(ast.AST, width=768, heads=12, rows=128, columns=256, stride=10), (1, 128, 256))}
FOR_ZENNIT: dict[str, list[Any]] = {"audionet": [], "alexnet": [], "melcnn": [], "resnet": [ResNetCanonizer()]}
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", choices=[*NETWORKS, *WIDE], default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=16, help="clips")
    parser.add_argument("--rounds", type=int, default=5, help="turns of all sides")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; 1 where other programs use the machine")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    memory.keep_freed()
    columns = ["forward, ms", "gradient", "epsilon", "epsilon-plus", "AttnLRP", "zennit", "autoLRP", "training step"]
    table = Table("network", *columns, "memory over a training step's", box=None)
    for name in arguments.networks:
        table.add_row(name, *measured(name, arguments.batch, arguments.rounds))
    Console(width=140).print(table)


def measured(name: str, batch: int, rounds: int) -> list[str]:
    """The cells of a network: milliseconds of a forward pass; the others in forward passes; and memory."""
    torch.manual_seed(0)
    make, shape = (NETWORKS | WIDE)[name]
    network, input = make(CLASSES).eval(), torch.rand(batch, *shape)
    lay_channels_last(network)
    target = torch.arange(batch) % CLASSES

    def forward() -> Any:
        with torch.no_grad():
            return network(input)

    def gradient() -> Any:
        return Gradient()(network, input, target)

    sides: dict[str, Callable[[], Any]] = {"forward": forward, "gradient": gradient}
    for composite in ("epsilon", "epsilon_plus", "attnlrp"):
        sides[composite] = asked(LRP(composite), network, input, target)
    if name in FOR_ZENNIT:
        attributor = ZennitGradient(network, EpsilonPlus(canonizers=FOR_ZENNIT[name]))
        start = nn.functional.one_hot(target, CLASSES)
        with attributor:
            times = turns({"zennit": lambda: attributor(input.clone(), lambda output: output * start)}, rounds)
        zennit = times["zennit"]
    if peer := by_autolrp(network, input, target):
        sides["autolrp"] = peer
    sides["training"] = lambda: step(network, input, target)
    times = turns(sides, rounds)
    passing = times["forward"]
    ratio = peak_megabytes(sides["epsilon_plus"], input.device) / peak_megabytes(sides["training"], input.device)
    passes = [f"{times[side] / passing:.2f}" for side in ("gradient", "epsilon", "epsilon_plus", "attnlrp")]
    peers = [f"{zennit / passing:.2f}" if name in FOR_ZENNIT else ""]
    peers += [f"{times['autolrp'] / passing:.2f}" if "autolrp" in times else ""]
    return [f"{1000 * passing:.1f}", *passes, *peers, f"{times['training'] / passing:.2f}", f"{ratio:.2f}"]


def by_autolrp(network: nn.Module, input: Tensor, target: Tensor) -> Callable[[], Any] | None:
    """Asks autoLRP for relevance; None if it is not installed, or does not take the network."""
    try:
        autolrp = importlib.import_module("autolrp")
    except ImportError:
        return None

    def ask() -> Any:
        outputs = network(autolrp.tensor(input.clone()))
        outputs.gather(1, target[:, None]).sum().lrp(config=autolrp.LRPConfig.composite())

    try:
        ask()
    except Exception as error:
        print(f"autoLRP: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    return ask


def asked(attribution: LRP, network: nn.Module, input: Tensor, target: Tensor) -> Callable[[], Any]:
    """Asks for relevance of the batch; the trial of the network is done before."""
    attribution(network, input[:2], target[:2])
    return lambda: attribution(network, input, target)


def step(network: nn.Module, input: Tensor, target: Tensor) -> None:
    """The forward and the backward pass of a training step."""
    network.train()
    nn.functional.cross_entropy(network(input), target).backward()
    network.zero_grad()
    network.eval()


def turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of each side: the median over rounds in which all have their turn."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, ask in sides.items():
            started = time.perf_counter()
            ask()
            if number:  # the first is to warm up
                times[name].append(time.perf_counter() - started)
    return {name: median(own) for name, own in times.items()}


if __name__ == "__main__":
    main()
