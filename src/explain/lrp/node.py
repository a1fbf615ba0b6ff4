"""What is known of an operation of a network, and of the tensors that operations give."""

from collections.abc import Sequence
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
        sums: relevance of its output, of its inputs, of its constants (kept), of nothing (unshared), and the sum of the
            inputs' magnitudes (size); over all clips.
    """

    operation: str
    name: str = ""
    place: str = ""
    layout: Layout | None = None
    audited: bool = False
    sums: dict[str, float] = field(default_factory=dict)

    def per_clip(self, values: Tensor, clips: int) -> Tensor:
        """Sums values of the output's layout over each clip, (clips,); NaN if it is not known where clips lie."""
        layout = self.layout
        if layout is None or values.dim() <= layout.dimension:
            return values.new_full((clips,), torch.nan)
        return layout.per_clip(values, clips)

    def note_sums(self, relevance: Tensor, shares: Sequence[Tensor], apart: Tensor) -> None:
        """Adds up the relevance that came to the operation, and what became of it."""
        of_inputs = torch.stack([share.sum() for share in shares]) if shares else relevance.new_zeros(1)
        kept, lost = apart.sum(1)
        sums = {"output": relevance.sum(), "inputs": of_inputs.sum(), "kept": kept, "unshared": lost}
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        sizes = [float(share.abs().sum()) for share in shares]
        self.sums["size"] = self.sums.get("size", 0.0) + sum(sizes)


@dataclass
class Note:
    """What is known of a tensor that depends on the network's input.

    Attributes:
        layers: the most layers with weights on a way from the network's input to it.
        made_by: the step of the layer that made it, and the layer's input.
        is_gate: it says how much of another tensor passes, such as the output of a sigmoid or softmax.
        logits: what a sigmoid or softmax made it from.
    """

    layers: int = 0
    made_by: tuple[Any, Tensor] | None = None
    is_gate: bool = False
    logits: Tensor | None = None


def note_of(tensor: Tensor) -> Note:
    """What is known of a tensor; it can be changed."""
    note: Note = tensor.__dict__.setdefault("lrp_note", Note())
    return note
