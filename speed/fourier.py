"""Relevance of frequencies by fast Fourier transforms against the dense matrix of the layer's equations.

    python -m speed.fourier
    python -m speed.fourier --samples 4000 --batch 16 --threads 1

The dense side builds the matrix of the inverse transform once, N x 2N, for real and imaginary parts. It then takes a
batch in two products: with relevance over waveform, and with the waveform. Each side runs in a process of its own.
Memory is what the process took at most, beyond that of its imports and inputs. Seconds are of CPU time, so that other
programs do not change them.
"""

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from auscult.explain.domain.fourier import EPSILON, Fourier, pairs, quotient
from auscult.machine import memory

Ask = Callable[[Tensor, Tensor], Tensor]  # waveforms (B, N), their relevance (B, N) -> of coefficients (B, K)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="turns of both sides")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    options = parser.parse_args()
    sides = [partial(measure, side, options) for side in (fast, dense)]
    measured: list[list[tuple[list[float], Tensor]]] = [[], []]
    for turn in range(options.rounds):
        for side in (0, 1) if turn % 2 else (1, 0):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                measured[side].append(process.submit(sides[side]).result())
    table = Table("", "FFT", "matrix", "ratio (least to most)", box=None)
    for column, name in enumerate(("setting up, CPU seconds", "a batch, CPU seconds", "memory at most, MB")):
        ours, others = ([values[0][column] for values in side] for side in measured)
        ratios = [b / max(a, 1e-4) for a, b in zip(ours, others, strict=True)]
        spread = f"{median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
        table.add_row(name, f"{median(ours):.3g}", f"{median(others):.3g}", spread)
    Console(width=110).print(table)
    fast_one, dense_one = measured[0][0][1], measured[1][0][1]
    difference = (fast_one - dense_one).abs().max() / dense_one.abs().max()
    print(f"largest difference: {difference:.1e} of the largest relevance")


def measure(side: Callable[[int], Ask], options: argparse.Namespace) -> tuple[list[float], Tensor]:
    """Seconds to set up, seconds for a batch once warm, megabytes at most, and the relevance."""
    torch.set_num_threads(options.threads)
    memory.keep_freed()  # as explain.py does; the other side gains as much
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(options.batch, options.samples, generator=generator)
    relevance = waveform * torch.randn(waveform.shape, generator=generator)
    torch.fft.rfft(waveform[:1])  # loads what both may need
    before = peak_megabytes()
    started = time.process_time()
    ask = side(options.samples)
    answer = ask(waveform, relevance)
    first = time.process_time() - started
    seconds = []
    for _ in range(5):
        started = time.process_time()
        ask(waveform, relevance)
        seconds.append(time.process_time() - started)
    return [max(first - median(seconds), 0.0), median(seconds), peak_megabytes() - before], answer


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fast(samples: int) -> Ask:
    view = Fourier(samples)
    return lambda waveform, relevance: view.relevance(waveform, relevance)[0]


def dense(samples: int) -> Ask:
    """As the paper writes it: a layer makes samples from the real and imaginary parts of all N coefficients."""
    # products of k and n modulo N: a float32 angle of that many turns would have no digits left
    place = torch.outer(torch.arange(samples), torch.arange(samples)) % samples
    angle = 2 * torch.pi / samples * place.double()
    layer = torch.cat([angle.cos(), -angle.sin()], 1).float()  # (N, 2N)
    del place, angle

    def ask(waveform: Tensor, relevance: Tensor) -> Tensor:
        q, _ = quotient(waveform, relevance, EPSILON)
        real, imaginary = ((waveform @ layer) * (q @ layer) / samples).chunk(2, 1)  # (B, N) each
        whole = real + imaginary
        conjugate = whole.roll(-1, 1).flip(1)  # of each coefficient
        own = pairs(samples, whole) == 1
        half = slice(samples // 2 + 1)
        return torch.where(own, whole[:, half], whole[:, half] + conjugate[:, half])

    return ask


if __name__ == "__main__":
    main()
