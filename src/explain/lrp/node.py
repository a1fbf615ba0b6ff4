"""What is known of an operation of a network, and of the tensors that operations give."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the clips of a batch lie in a tensor.

    Attributes:
        dimension: its length is a multiple of the number of clips.
        whole: the values of a clip lie beside each other, as after `x.flatten(0, 1)` of (B, T, ...); else each clip
            has one value in turn, as after that of (T, B, ...).
    """

    dimension: int
    whole: bool

    def per_clip(self, values: Tensor, clips: int) -> Tensor:
        """Sums values (..., n * clips, ...) over all of a clip, (clips,)."""
        rows = values.movedim(self.dimension, 0).flatten(1).sum(1) if values.dim() > 1 else values
        if len(rows) % clips:
            return rows.new_full((clips,), torch.nan)
        return rows.view(clips, -1).sum(1) if self.whole else rows.view(-1, clips).sum(0)


@dataclass
class Node:
    """One operation of a forward pass.

    Attributes:
        operation: PyTorch's name of it.
        name: the module that it is in, and the operation; the second use of both ends in `#2`.
        place: the line of source code that calls it: file and number.
        layout: where clips lie in its output; None: not known.
        audited: note sums of relevance.
        is_reached: relevance came to its output. It does not come to that of a layer with batch normalisation behind
            it: both are one operation.
        sums: relevance of its output, of its inputs, of its constants (kept), of nothing (unshared), and the sum of the
            inputs' magnitudes (size); over all clips.
    """

    operation: str
    name: str = ""
    place: str = ""
    layout: Layout | None = None
    audited: bool = False
    sums: dict[str, float] = field(default_factory=dict)
    is_reached: bool = False

    def per_clip(self, values: Tensor, clips: int) -> Tensor:
        """Sums values of the output's layout over each clip, (clips,); NaN if it is not known where clips lie."""
        layout = self.layout
        if clips == 1:
            return values.sum()[None]
        if layout is None or values.dim() <= layout.dimension:
            return values.new_full((clips,), torch.nan)
        return layout.per_clip(values, clips)

    def note_output(self, relevance: Tensor) -> None:
        """Adds up the relevance that came to the operation."""
        self.is_reached = True
        self._add(output=relevance.sum())

    def note_inputs(self, *shares: Tensor) -> None:
        """Adds up what its inputs got."""
        for share in shares:
            self._add(inputs=share.sum(), size=share.abs().sum())

    def note_apart(self, apart: Tensor) -> None:
        """Adds up what its constants kept, and what nothing could get, (2, B)."""
        kept, lost = apart.sum(1)
        self._add(kept=kept, unshared=lost)

    def _add(self, **sums: Tensor) -> None:
        for name in ("output", "inputs", "kept", "unshared", "size"):
            self.sums[name] = self.sums.get(name, 0.0) + float(sums.get(name, 0.0))


@dataclass
class Note:
    """What is known of a tensor that depends on the network's input.

    Attributes:
        layers: the most layers with weights on a way from the network's input to it.
        made_by: the step of the layer that made it, and the layer's input.
        is_gate: it says how much of another tensor passes, such as the output of a sigmoid or softmax, or by which
            computed number another tensor is divided.
        is_bounded: it is one of these functions that gates are written with: ReLU6, or tanh or erf; see `multiply`.
        logits: what a sigmoid or softmax made it from.
    """

    layers: int = 0
    made_by: tuple[Any, Tensor] | None = None
    is_gate: bool = False
    is_bounded: bool = False
    logits: Tensor | None = None


def note_of(tensor: Tensor) -> Note:
    """What is known of a tensor; it can be changed."""
    note: Note = tensor.__dict__.setdefault("lrp_note", Note())
    return note
