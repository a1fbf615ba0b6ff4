"""Rules of recurrent layers: signal takes all (Arras et al., WASSA 2017; "Explaining and Interpreting LSTMs", 2019).

In a product of a gate and a signal, the gate is a constant and the signal takes all relevance; sums are shared by the
epsilon rule; activations pass relevance on. PyTorch's kernel makes the forward pass. The backward pass computes the
gates of all steps at once, and then goes through time. It needs no gradient of the kernel, which cuDNN refuses in
evaluation.

Shapes: T steps, B clips, I inputs, H states.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.propagation import Step
from auscult.explain.lrp.rules import stable
from auscult.explain.lrp.watch import NoRule, Watch, depends


@dataclass
class Recurrence(Step):
    """One layer in one direction: (T, B, I) -> (T, B, H), or (T + 1, B, H) with the last state of a cell at the end.

    Its inputs are the steps, and the state before the first of them, and the cell's if there is one, (B, H) each.

    Attributes:
        weights: of the input (gates * H, I), of the state (gates * H, H), and their biases (gates * H,), if any.
        is_reverse: goes from the last step to the first.
        epsilon: of the epsilon rule.
        uses_bias: biases are part of the denominators, and keep their share.
        clips_first: what is kept has the shape (B, T, H) instead of (T, B, H).
        is_constant: whether each of the inputs is a constant, whose relevance is kept.
    """

    weights: list[Tensor]
    is_reverse: bool
    epsilon: float
    uses_bias: bool
    clips_first: bool
    is_constant: list[bool]

    kernel: ClassVar[Any]

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        steps, *starts = inputs
        states = [start[None].contiguous() for start in starts]
        result = self.kernel(
            self._turned(steps), states if len(states) > 1 else states[0], self.weights, len(self.weights) == 4,
            1, 0.0, False, False, False,
        )  # fmt: skip
        return torch.cat([self._turned(result[0]), *result[2:]])  # the cell's last state, if there is one

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        steps, *starts = inputs
        count = len(steps)
        input, after, own = (self._turned(each) for each in (steps, output[:count], relevance[:count]))
        before = torch.cat([starts[0][None], after[:-1]])  # (T, B, H)
        of_input, kept, of_starts = self.through_time(input, before, after, own, starts, relevance[count:])
        for share, is_constant in zip(of_starts, self.is_constant[1:], strict=True):
            kept[0] += share * is_constant
        kept[..., 0] += of_input.sum(-1) * self.is_constant[0]
        kept = self._turned(kept)
        shares = [self._turned(of_input), *of_starts]
        shares = [share * (not constant) for share, constant in zip(shares, self.is_constant, strict=True)]
        return shares, kept.transpose(0, 1) if self.clips_first else kept, None

    @abstractmethod
    def through_time(
        self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor, starts: list[Tensor], of_cell: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Relevance of the input (T, B, I), what biases keep (T, B, H), and relevance of the first states.

        Args:
            input: (T, B, I).
            before: the states before each step, (T, B, H).
            output: the states after each step, (T, B, H).
            relevance: of the output.
            starts: the first states.
            of_cell: relevance of the cell's last state, (1, B, H), if there is one.
        """

    def products(self, input: Tensor, before: Tensor, gates: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """What inputs and states contribute to each gate, (T, B, H) each, and both biases (H,) of each gate."""
        ours, theirs, *biases = (weight.chunk(gates) for weight in self.weights)
        zeros = [input.new_zeros(())] * gates
        of_input = [input @ weight.T for weight in ours]
        of_state = [before @ weight.T for weight in theirs]
        return of_input, of_state, [*(biases[0] if biases else zeros), *(biases[1] if biases else zeros)]

    def _turned(self, steps: Tensor) -> Tensor:
        return steps.flip(0) if self.is_reverse else steps

    def _stable(self, values: Tensor, biases: Tensor | float = 0.0) -> Tensor:
        return stable(values if self.uses_bias else values - biases, self.epsilon)


class GRU(Recurrence):
    """`h' = (1 - z) * n + z * h`, with `n = tanh(W x + b + r * (U h + c))` and the gates r and z as constants."""

    kernel = staticmethod(torch.gru)

    def through_time(
        self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor, starts: list[Tensor], of_cell: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Recurrence.through_time`."""
        of_input, of_state, biases = self.products(input, before, 3)
        gates = [(of_input[g] + of_state[g] + biases[g] + biases[g + 3]).sigmoid() for g in (0, 1)]
        reset, update = gates
        constant = biases[2] + reset * biases[5]
        candidate = of_input[2] + reset * of_state[2] + constant
        total = self._stable(output)
        of_candidate, of_before = (1 - update) * candidate.tanh() / total, update * before / total
        denominator = self._stable(candidate, constant)
        state_weight = self.weights[1].chunk(3)[2]
        quotients, carried = torch.empty_like(output), torch.zeros_like(output[0])
        for step in reversed(range(len(input))):
            own = relevance[step] + carried
            quotients[step] = own * of_candidate[step] / denominator[step]
            carried = own * of_before[step] + before[step] * ((quotients[step] * reset[step]) @ state_weight)
        kept = quotients * constant if self.uses_bias else torch.zeros_like(quotients)
        return input * (quotients @ self.weights[0].chunk(3)[2]), kept, [carried]


class LSTM(Recurrence):
    """`c' = f * c + i * g`, `h' = o * tanh(c')`, with `g = tanh(W x + U h + b)` and the gates i, f, o as constants."""

    kernel = staticmethod(torch.lstm)

    def through_time(
        self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor, starts: list[Tensor], of_cell: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Recurrence.through_time`."""
        of_input, of_state, biases = self.products(input, before, 4)
        sums = [one + other for one, other in zip(of_input, of_state, strict=True)]
        constants = [one + other for one, other in zip(biases[:4], biases[4:], strict=True)]
        enter, forget = ((sums[g] + constants[g]).sigmoid() for g in (0, 1))
        candidate = sums[2] + constants[2]
        entering = enter * candidate.tanh()
        cells = [starts[1]]
        for step in range(len(input)):
            cells.append(forget[step] * cells[-1] + entering[step])
        total = self._stable(torch.stack(cells[1:]))
        of_candidate, of_before = entering / total, forget * torch.stack(cells[:-1]) / total
        denominator = self._stable(candidate, constants[2])
        state_weight = self.weights[1].chunk(4)[2]
        quotients, carried, in_cell = torch.empty_like(output), torch.zeros_like(output[0]), of_cell[0]
        for step in reversed(range(len(input))):
            own = relevance[step] + carried + in_cell
            quotients[step] = own * of_candidate[step] / denominator[step]
            in_cell = own * of_before[step]
            carried = before[step] * (quotients[step] @ state_weight)
        kept = quotients * constants[2] if self.uses_bias else torch.zeros_like(quotients)
        return input * (quotients @ self.weights[0].chunk(4)[2]), kept, [carried, in_cell]


class TanhRNN(Recurrence):
    """`h' = tanh(W x + U h + b)`."""

    kernel = staticmethod(torch.rnn_tanh)

    def through_time(
        self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor, starts: list[Tensor], of_cell: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See `Recurrence.through_time`."""
        (of_input,), (of_state,), (one, other) = self.products(input, before, 1)
        denominator = self._stable(of_input + of_state + one + other, one + other)
        quotients, carried = torch.empty_like(output), torch.zeros_like(output[0])
        for step in reversed(range(len(input))):
            quotients[step] = (relevance[step] + carried) / denominator[step]
            carried = before[step] * (quotients[step] @ self.weights[1])
        kept = quotients * (one + other) if self.uses_bias else torch.zeros_like(quotients)
        return input * (quotients @ self.weights[0]), kept, [carried]


class ReluRNN(TanhRNN):
    """`h' = relu(W x + U h + b)`."""

    kernel = staticmethod(torch.rnn_relu)


def recurrent(kind: type[Recurrence]) -> Any:
    """The rule of a recurrent layer of PyTorch: several layers, one or both directions."""

    def rule(
        watch: Watch, input: Tensor, hx: Any, params: Any, has_biases: Any, layers: int = 1, dropout: float = 0.0,
        train: bool = False, bidirectional: bool = False, batch_first: bool = False,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        if isinstance(has_biases, list | tuple):
            raise NoRule(f"applies {kind.__name__} to packed sequences")
        count = len(params) // (layers * (1 + bidirectional))
        if count not in (2, 4):
            raise NoRule(f"applies {kind.__name__} with projections")
        starts = list(hx) if isinstance(hx, list | tuple) else [hx]
        starts = [start if input.dim() == 3 else start[:, None] for start in starts]  # (layers, B, H)
        steps = input.transpose(0, 1) if batch_first else input
        steps = steps[:, None] if input.dim() == 2 else steps
        lasts, cells = [], []
        for layer in range(layers):
            outputs = []
            for way in range(1 + bidirectional):
                number = layer * (1 + bidirectional) + way
                own = [each.detach() for each in params[number * count : (number + 1) * count]]
                inputs = [steps, *(start[number] for start in starts)]
                constants = [not depends(each) for each in inputs]
                composite = watch.composite
                step = kind(own, bool(way), composite.epsilon, composite.uses_bias, batch_first, constants)
                output = watch.step(step, *inputs)
                outputs.append(output[: len(steps)])
                lasts.append(outputs[-1][0 if way else -1])
                cells += list(output[len(steps) :])
            steps = torch.cat(outputs, -1)
        last, output = torch.stack(lasts), steps.transpose(0, 1) if batch_first else steps
        results = [output, last, *([torch.stack(cells)] if cells else [])]
        if input.dim() == 2:
            results = [output[:, 0] if not batch_first else output[0], *(each[:, 0] for each in results[1:])]
        for result in results:
            note_of(result).layers = note_of(input).layers + layers
        return tuple(results)

    return rule
