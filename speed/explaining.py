"""Explaining as `python explain.py` does it against zennit and the network called by hand, and against Quantus.

    python -m speed.explaining
    python -m speed.explaining --networks alexnet --clips 64 --rounds 7 --threads 1

Fresh networks on synthetic clips; orders, fractions and fill are those of `conf/explain.yaml`. The comparisons:

    LRP over zennit by hand          `trainer.predict`, from its start and with clips in the cache, to the relevance
                                     file, perturbing and measuring nothing, against zennit's own EpsilonPlus on the
                                     same batches, ready in memory, hooks registered once. Both sides run front ends.
    LRP over a forward pass          relevance of one batch, against its bare pass: one over the ratio is what LRP
                                     costs in forward passes. The line after it has the same of zennit by hand.
    curves over bare passes          all orders of one batch, from relevance to the prediction for each clip, against
                                     as many passes of the intact batch through the network. Neither runs a front end.
    LRP and a curve over Quantus     relevance of a quarter batch, and its removal with the most relevant first, against
                                     PixelFlipping with zennit by hand; of spectrograms only.
                                     PixelFlipping goes to the end in equal steps that divide the input, so both sides
                                     take 227 steps of 227 bins here. The curve of `explain.py` takes 10 passes.

The first comparison checks that both sides have the same relevance, and the last that they have the same curve.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.composites import EpsilonPlus

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.dataset import Batch, loader
from auscult.datamodules.source import Source
from auscult.explain import explanation
from auscult.explain.attribution.base import Attribution, as_attribution
from auscult.explain.domain.explain import explain
from auscult.explain.measures.perturbation import counts_of, perturb
from auscult.explain.options import check_question
from auscult.explain.relevance.aim import aim_at
from auscult.explain.relevance.explainer import Explainer, lay_out
from auscult.explain.relevance.question import Perturbation, Question, question_of
from auscult.machine import memory
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.program import config
from auscult.program.conf import CONF
from auscult.run import training

NETWORKS = ("audionet", "alexnet")
NO_QUANTUS = "Quantus cannot be measured: it is not installed (pip install quantus==0.6.0), or its OpenCV lacks libGL."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--clips", type=int, default=64, help="clips of each turn of LRP; curves are of one batch")
    parser.add_argument("--batch", type=int, default=32, help="clips per step, as data.batch_size")
    parser.add_argument("--rounds", type=int, default=7, help="turns of both sides")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; 1 where other programs use the machine")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    training.hush()
    memory.keep_freed()  # as explain.py does; the other sides gain as much
    table = Table("network", "clips/s of", "ours", "the other", "ratio (least to most)", box=None)
    for name in arguments.networks:
        case = Case.of(name, arguments.clips, arguments.batch)
        for comparison in comparisons(case):
            ours, others = compare(case, comparison, arguments.rounds)
            ratios = [a / b for a, b in zip(ours, others, strict=True)]
            spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            table.add_row(name, comparison.name, f"{median(ours):.3g}", f"{median(others):.3g}", spread)
    Console(width=110).print(table)
    if "alexnet" in arguments.networks and not has_quantus():
        print(NO_QUANTUS)


def has_quantus() -> bool:
    """Whether Quantus, which is no part of this program, can be imported."""
    try:
        import_module("quantus")
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class Case:
    """A network, clips, and the question that is asked about them."""

    model: Model
    device: torch.device
    source: Source
    batches: list[Batch]  # the source's, on the device
    question: Question
    perturbation: Perturbation
    trainer: dict[str, Any]  # Lightning's options

    @classmethod
    def of(cls, network: str, clips: int, batch_size: int) -> "Case":
        with initialize_config_dir(str(CONF), version_base="1.3"):
            enough = f"data.repetitions={-(-clips // 120)}"  # a fold tests on 12 speakers, 10 words of each
            trained = config.check(compose("train", overrides=[f"model={network}", "task=digit", enough]))
            options = ["checkpoint=none", f"data.batch_size={batch_size}"]
            run = check_question(compose("explain", overrides=options))
        torch.manual_seed(0)
        datamodule = AudioDataModule.from_config(trained)
        datamodule.setup()
        members = datamodule.split.test[:clips]
        source = Source(datamodule.evaluation_dataset(members), [datamodule.clips[i] for i in members], [])
        classifier = Classifier.from_config(trained, datamodule.classes).eval()
        model = Model.of(classifier, trained["data"]["clip"]["sample_rate"]).eval()
        question = question_of(run, aim_at(model, run["target"]), source)
        assert question.perturbation is not None
        device = torch.device("cuda" if torch.cuda.is_available() and run["trainer"]["accelerator"] != "cpu" else "cpu")
        return cls(
            model,
            device,
            source,
            [
                {name: part.to(device) for name, part in batch.items()}
                for batch in loader(source.dataset, batch_size, range(len(members)))
            ],
            replace(question, perturbation=None, measurements=()),
            question.perturbation,
            {**run["trainer"], "enable_progress_bar": False},
        )


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same array. A side gives None if there is nothing to check."""

    name: str
    clips: int
    ours: Callable[[], np.ndarray | None]
    others: Callable[[], np.ndarray | None]


def comparisons(case: Case) -> Iterator[Comparison]:
    clips = len(case.source.clips)
    yield Comparison("LRP over zennit by hand", clips, lambda: stream(case), lambda: call_zennit(case))
    network, batch = case.model.network.to(case.device), case.batches[0]
    with torch.no_grad():
        input = case.model.front_end(batch["waveform"])  # (B, ...)
    explained = explain(case.question.domain, case.question.attribution, batch["waveform"])

    passing = partial(pass_bare, network, input, 1)
    for name, attribution in (("LRP", case.question.attribution), ("zennit", as_attribution(by_zennit))):
        one_batch = partial(explain_batch, attribution, network, input)
        yield Comparison(f"{name} over a forward pass", len(input), one_batch, passing)

    def curves() -> np.ndarray:
        return case.perturbation(network, explained, batch["label"], batch["clip"]).probability

    passes = count_passes(network, curves)
    yield Comparison("curves over bare passes", len(input), curves, lambda: pass_bare(network, input, passes))
    if input.dim() == 4 and has_quantus():
        few = slice(max(1, len(input) // 4))  # clips, for there are many steps
        some, label, steps = input[few], batch["label"][few], input.shape[-1]
        yield Comparison(
            "LRP and a curve over Quantus",
            len(some),
            lambda: perturb_in_steps(case, some, label, steps),
            lambda: flip_pixels(case, some, label, steps),
        )


def compare(case: Case, comparison: Comparison, rounds: int) -> tuple[list[float], list[float]]:
    """Clips per second of each round: ours, the other's."""
    sides = (comparison.ours, comparison.others)
    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        answers: list[np.ndarray | None] = [None, None]
        for side in (0, 1) if turn % 2 else (1, 0):
            case.model.to(case.device)  # from where Lightning takes it
            started = now()
            answers[side] = sides[side]()
            if turn > 0:  # the first imports, and claims memory
                rates[side].append(comparison.clips / (now() - started))
        ours, others = answers
        if ours is not None and others is not None:
            np.testing.assert_allclose(ours, others, atol=1e-3 * np.abs(others).max())
    return rates


def stream(case: Case) -> np.ndarray:
    """Relevance of all clips, by way of Lightning and the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relevance.h5"
        lay_out(path, case.source, case.question, {})
        explainer = Explainer(case.model, case.source, case.question, path, len(case.batches[0]["label"]))
        explanation.make_trainer(case.trainer, Path(folder)).predict(explainer, return_predictions=False)
        with h5py.File(path) as file:
            return file["relevance"][:]


def call_zennit(case: Case) -> np.ndarray:
    """Relevance of all clips, as one would write it by hand."""
    relevance = []
    with attributor(case.model.network) as gradient:
        for batch in case.batches:
            with torch.no_grad():
                input = case.model.front_end(batch["waveform"])
            relevance.append(gradient(input, lambda logits: logit_of(logits, logits.argmax(1)))[1].cpu().numpy())
    return np.concatenate(relevance)


def explain_batch(attribution: Attribution, network: nn.Module, input: Tensor) -> None:
    attribution(network, input, torch.zeros(len(input), dtype=torch.int64, device=input.device))


def by_zennit(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    with attributor(network) as gradient:
        return gradient(input, lambda logits: logit_of(logits, target))[1]


def attributor(network: nn.Module) -> Gradient:
    return Gradient(network, EpsilonPlus())


def logit_of(logits: Tensor, target: Tensor) -> Tensor:
    """Logits (B, C) that are zero for all classes but the targets (B,)."""
    return logits * nn.functional.one_hot(target, logits.shape[1])


def count_passes(network: nn.Module, compute: Callable[[], object]) -> int:
    """How often a computation passes the network."""
    passes: list[None] = []
    hook = network.register_forward_hook(lambda *_: passes.append(None))
    compute()
    hook.remove()
    return len(passes)


@torch.inference_mode()
def pass_bare(network: nn.Module, input: Tensor, passes: int) -> None:
    for _ in range(passes):
        network(input)


def perturb_in_steps(case: Case, input: Tensor, label: Tensor, steps: int) -> np.ndarray:
    """Probability (B, steps) of the labels, after each of equal steps."""
    network = case.model.network
    relevance = case.question.attribution(network, input, label)
    fractions = [step / steps for step in range(1, steps + 1)]
    fill = case.perturbation.fill
    counts = counts_of(input, fill.silence, fractions, "paper")  # Quantus removes silence as it comes
    outcome = perturb(network, input, label, {"relevance": relevance}, counts, fill)
    return outcome.probability[:, 0]


def flip_pixels(case: Case, input: Tensor, label: Tensor, steps: int) -> np.ndarray:
    """The same as `perturb_in_steps`, by Quantus."""
    quantus: Any = import_module("quantus")

    def explain(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: Any) -> np.ndarray:
        target = torch.from_numpy(targets).to(case.device)
        with attributor(case.model.network) as gradient:
            input = torch.from_numpy(inputs).to(case.device)
            return gradient(input, lambda logits: logit_of(logits, target))[1].cpu().numpy()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Quantus warns that the first steps change little
        flipping = quantus.PixelFlipping(
            features_in_step=input[0].numel() // steps,
            normalise=False,
            perturb_baseline=0.0,
            disable_warnings=True,
        )
        probability = flipping(
            case.model.network,
            input.cpu().numpy(),
            label.cpu().numpy(),
            channel_first=True,
            explain_func=explain,
            softmax=True,
            device=str(case.device),
            batch_size=len(input),
        )
    return np.array(probability)


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
