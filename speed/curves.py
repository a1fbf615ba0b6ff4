"""Perturbation curves of many orders against the bare forward passes that they need.

    python -m speed.curves
    python -m speed.curves --clips 64 --threads 1

A fresh AudioNet on synthetic clips; fill is that of `conf/explain.yaml`. The sides of a batch, both without front end:

    curves            from the input and the scores of an order to the prediction for each clip, after each of equal
                      steps to the end. Scores are random and drawn before: the attribution is not measured here.
    bare passes       the intact input through the network, as often as the curves pass it.

Sides take turns with each order, and so does which of them is first: other programs disturb both alike. The ratio is of
all seconds; least and most are of single batches.
"""

import argparse
from functools import partial

import torch
from rich.console import Console
from rich.table import Table

from auscult.datamodules.dataset import Batch
from auscult.explain.measures.perturbation import counts_of, perturb
from auscult.machine import memory
from auscult.run import training
from speed.explaining import Case, count_passes, now, pass_bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--fractions", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32, help="clips per step, as data.batch_size")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; 1 where other programs use the machine")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    training.hush()
    memory.keep_freed()  # as explain.py does; the other side gains as much
    case = Case.of("audionet", options.clips, options.batch)
    case.model.to(case.device)
    measure(case, case.batches[0], 1, 1)  # the first claims memory
    seconds = [measure(case, batch, options.orders, options.fractions) for batch in case.batches]
    ours, others = (sum(side) for side in zip(*seconds, strict=True))
    ratios = [a / b for a, b in seconds]
    table = Table("seconds of", "curves", "bare passes", "ratio (least to most)", box=None)
    size = f"{options.orders} orders x {options.fractions} fractions x {len(case.source.clips)} clips"
    table.add_row(size, f"{ours:.3g}", f"{others:.3g}", f"{ours / others:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    Console(width=110).print(table)


def measure(case: Case, batch: Batch, orders: int, fractions: int) -> tuple[float, float]:
    """Seconds that a batch takes: for its curves, and for as many bare passes."""
    network = case.model.network
    with torch.no_grad():
        input = case.model.front_end(batch["waveform"])  # (B, ...)
    scores = torch.rand(orders, *input.shape, generator=torch.Generator().manual_seed(0)).to(input)
    steps = [step / fractions for step in range(1, fractions + 1)]  # each changes the input, so that each takes a pass
    counts = counts_of(input, case.perturbation.fill.silence, steps, "paper")
    seconds = [0.0, 0.0]
    for order, own in enumerate(scores):
        curves = partial(perturb, network, input, batch["label"], {"": own}, counts, case.perturbation.fill)
        for side in (0, 1) if order % 2 else (1, 0):
            started = now()
            if side == 0:
                assert count_passes(network, curves) == fractions
            else:
                pass_bare(network, input, fractions)
            seconds[side] += now() - started
    return seconds[0], seconds[1]


if __name__ == "__main__":
    main()
