"""Makes logits (B, classes) of what a network gives, in whatever form it gives it."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.plain_data import shown

log = logging.getLogger(__name__)

LEAST = 1e-30  # a probability below is taken for this one
HEADS = {"SoftmaxBackward0": "softmax", "SigmoidBackward0": "sigmoid"}
# what stands behind a head and changes no value
MOVES = ("View", "Squeeze", "Unsqueeze", "Reshape", "Permute", "Transpose", "T", "Clone", "Alias", "Select", "Slice")
POOLS = ("Clamp", "Mean", "Amax", "Amin", "Max", "Min")  # what keeps a probability one: bounds, and pooling over time
MOST_MOVES = 20


class Logits(nn.Module):
    """A network as one that gives logits (B, C) float32, or numbers.

    Probabilities become their logarithms, or what a sigmoid made them from; so a softmax or the sigmoid of the logits
    is again the network's own probability. Outputs for frames are averaged. One output z of a yes or no becomes the two
    logits -z / 2 and z / 2, whose softmax is the sigmoid of z.

    Args:
        network: takes inputs (B, 1, ...), or (B, ...) if it is `flat`.
        output: which of several outputs is meant, a name or number; None if there is one.
        flat: whether the network takes inputs without the dimension of channels.
        head: "softmax", "sigmoid" or "", what the network ends with.
        classes_at: the dimension of classes in the output, counted from its end, -1 or -2; the other one, if there is
            one, has frames.
        kind: what the outputs are, "classes", "tags" or "number", see `auscult.modules.answers`.
        stretch: the part of the frames that counts, as shares of all from 0 to 1; None: all.
    """

    def __init__(
        self, network: nn.Module, output: str | int | None = None, *, flat: bool = False, head: str = "",
        classes_at: int = -1, kind: str = "classes", stretch: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.output, self.flat, self.head, self.classes_at = network, output, flat, head, classes_at
        self.kind, self.stretch = kind, stretch

    def forward(self, input: Tensor) -> Tensor:
        """Logits or numbers (B, C) of inputs (B, 1, ...).

        Raises:
            Mistake: a part of the frames is meant, and there are none.
        """
        input = input.clone()  # some networks change what they are given
        values = picked(self.network(input.squeeze(1) if self.flat else input), self.output).float()
        if self.head == "softmax" and self.kind != "number":
            values = values.clamp(min=LEAST).log()
        if self.head == "sigmoid" and self.kind != "number":
            values = values.logit(eps=1e-7)
        values = values[:, None] if values.dim() == 1 else values
        if values.dim() > 2:
            values = self.part_of(by_frames(values, self.classes_at)).mean(1)  # (B, C)
        elif self.stretch is not None:
            raise Mistake(
                "stretch=… is a part of the frames, and the network gives one answer for a clip; leave it out."
            )
        is_yes = self.kind != "number" and values.shape[1] == 1
        return torch.cat([-values / 2, values / 2], 1) if is_yes else values

    def part_of(self, values: Tensor) -> Tensor:
        """The frames that count (B, M, C) of all (B, N, C); at least one."""
        if self.stretch is None:
            return values
        frames = values.shape[1]
        begin = min(int(self.stretch[0] * frames + 1e-6), frames - 1)
        end = max(begin + 1, math.ceil(self.stretch[1] * frames - 1e-6))
        return values[:, begin:end]


def by_frames(values: Tensor, classes_at: int) -> Tensor:
    """Outputs (B, N, C) of outputs (B, ..., C) or (B, C, ...) for frames; dimensions of 1 are left out."""
    values = values.movedim(classes_at, -1)
    return values.reshape(len(values), -1, values.shape[-1])


def picked(outputs: Any, output: str | int | None) -> Tensor:
    """The one tensor that is meant of what a network gives: a tensor, a group of tensors, or several in a row.

    Raises:
        Mistake: it is not known which one is meant, or there is none of this name.
    """
    if isinstance(outputs, Tensor):
        if output is not None:
            raise Mistake(f"output={output}: the network gives one tensor and no others; leave output out.")
        return outputs
    named: dict[str, Any] = {}
    if isinstance(outputs, Mapping):
        named = {str(name): value for name, value in outputs.items()}
    elif isinstance(outputs, list | tuple):
        names = getattr(outputs, "_fields", range(len(outputs)))
        named = {str(name): value for name, value in zip(names, outputs, strict=True)}
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor) and value.is_floating_point()}
    if output is None and "logits" in tensors:
        return tensors["logits"]
    if output is None and len(tensors) == 1:
        return next(iter(tensors.values()))
    if output is not None and str(output) in tensors:
        return tensors[str(output)]
    if not tensors:
        raise Mistake(f"the network gives a {type(outputs).__name__} without tensors; let it give its logits.")
    shapes = ", ".join(f"{shown(name)} {tuple(value.shape)}" for name, value in list(tensors.items())[:6])
    raise Mistake(
        f"the network gives {len(tensors)} tensors ({shapes}); say output={next(iter(tensors))}, or another, for the"
        " one with its logits."
    )


def head_of(values: Tensor, kind: str | None = None) -> str:
    """What a tensor was made by last: "softmax", "sigmoid", or "" for anything else.

    Sigmoids may be pooled over time, also with weights that are a softmax or a sigmoid themselves. Outputs from 0 to 1
    that are made in another way are taken for logits, with a warning, unless the kind of outputs is a number.
    """
    if head := head_behind(values.grad_fn, MOST_MOVES):
        return head
    summed = values.dim() > 1 and values.shape[-1] > 1 and bool(((values.sum(-1) - 1).abs() < 1e-4).all())
    if summed and bool((values >= 0).all()):
        return "softmax"
    if pooled_sigmoid(values.grad_fn, MOST_MOVES):
        return "sigmoid"
    if kind != "number" and bool(((values >= 0) & (values <= 1)).all()):
        log.warning(
            "the network gives values from 0 to 1, and ends neither in a sigmoid nor in a softmax: they are taken for"
            " logits; if they are probabilities, let it give their logits."
        )
    return ""


def head_behind(made: Any, most: int) -> str:
    """The head that lies behind at most so many operations that change no value; "" if there is none."""
    if made is None or most == 0:
        return ""
    if made.name() in HEADS:
        return HEADS[made.name()]
    return head_behind(made.next_functions[0][0], most - 1) if made.name().startswith(MOVES) else ""


def pooled_sigmoid(made: Any, most: int) -> bool:
    """Whether a tensor is made of sigmoids by bounds, by pooling, or by a sum with weights from 0 to 1."""
    if made is None or most == 0:
        return False
    name = made.name()
    if name.startswith("Sum"):
        inner = made.next_functions[0][0]
        return inner is not None and inner.name().startswith("Mul") and pooled_sigmoid(inner, most - 1)
    if name.startswith("Mul"):
        both = [function for function, _ in made.next_functions]
        heads = {head_behind(function, most - 1) or ("sigmoid" if pooled_sigmoid(function, most - 1) else "")
                 for function in both}  # fmt: skip
        return len(both) == 2 and "" not in heads and "sigmoid" in heads
    if name.startswith((*MOVES, *POOLS)):
        return pooled_sigmoid(made.next_functions[0][0], most - 1)
    return name == "SigmoidBackward0"


def place_of_classes(values: Tensor, classes: int | None) -> int:
    """Which dimension of an output (B, ..., C) or (B, C, ...) has the classes: -1 or -2.

    The last one, unless only the one before has as many values as there are classes.
    """
    if values.dim() > 2 and classes is not None and values.shape[-1] != classes and values.shape[-2] == classes:
        return -2
    return -1


def names_of(count: int, names: Iterable[str] | None, kind: str = "classes") -> list[str]:
    """The names of so many outputs.

    Raises:
        Mistake: there are more names, or fewer.
    """
    given = None if names is None else list(names)
    if given is None and kind == "number" and count == 1:
        return ["number"]
    if given is None:
        log.warning("classes=… is not given: the network's %d outputs have numbers instead of names.", count)
        return ["no", "yes"] if count == 2 and kind == "classes" else [str(number) for number in range(count)]
    if len(given) != count:
        raise Mistake(
            f"the network has {count} outputs and classes=… has {len(given)} names; name one for each output."
        )
    return given
