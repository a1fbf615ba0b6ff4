"""Whether a network gives the same from one pass to the next, and the user's line of source code that is running."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from auscult.explain.lrp.layouts import CLOSE
from auscult.mistake import Mistake

DRAWS = ("rand", "bernoulli", "multinomial", "normal", "poisson", "exponential_", "uniform_")  # beginnings of names
HIDDEN = (os.path.dirname(torch.__file__), str(Path(__file__).parent))  # sources that are not the user's


def difference(output: Tensor, expected: Tensor) -> float:
    """How much two outputs differ, as a share of the largest value."""
    return float((output - expected).detach().abs().max() / expected.abs().max().clamp(min=1e-30))


def check_outputs(network: nn.Module, input: Tensor) -> Any:
    """What a network gives for an input.

    Raises:
        Mistake: its outputs are not finite, or others from one pass to the next.
    """
    with torch.no_grad(), Chance() as chance:
        outputs, again = network(input.clone()), network(input.clone())
    if not isinstance(outputs, Tensor):
        return outputs  # `logits_of` says what is wanted
    if not outputs.isfinite().all():
        raise Mistake("the network gives outputs that are not finite; use finite weights, or mind the input's range.")
    if outputs.shape != again.shape or difference(again, outputs) > CLOSE:
        drawn = f" It draws: {', '.join(dict.fromkeys(chance.drawn))}." if chance.drawn else ""
        raise Mistake(
            "LRP would be wrong: the network gives other outputs from one pass to the next; let it draw nothing by"
            f" chance in evaluation, as by F.dropout(x, training=self.training), and keep nothing of a pass.{drawn}"
        )
    return outputs


class Chance(TorchFunctionMode):
    """Notes what is drawn by chance, and where.

    Attributes:
        drawn: PyTorch's names, each with the line of the user's source code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a function."""
        name, given = getattr(func, "__name__", ""), (*args, *(kwargs or {}).values())
        if name.startswith(DRAWS) or ("dropout" in name and any(each is True for each in given)):
            self.drawn.append(f"{name} ({place()})")
        return func(*args, **(kwargs or {}))


def place() -> str:
    """The line of the user's source code that is running: file and number; none for PyTorch's own modules."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((*HIDDEN, "<")):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
