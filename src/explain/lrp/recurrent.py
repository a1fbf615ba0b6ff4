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
from auscult.explain.lrp.propagation import Pass, Step
from auscult.explain.lrp.rules import stable
from auscult.explain.lrp.watch import NoRule, Watch, depends


@dataclass
class Recurrence(Step):
    """One layer in one direction: (T, B, I) -> (T, B, H).

    Attributes:
        weights: of the input (gates * H, I), of the state (gates * H, H), and their biases (gates * H,), if any.
        start: the state before the first step, and the cell's if there is one, (B, H) each.
        is_reverse: goes from the last step to the first.
        epsilon: of the epsilon rule.
        uses_bias: biases are part of the denominators, and keep their share.
        clips_first: what is kept has the shape (B, T, H) instead of (T, B, H).
    """

    weights: list[Tensor]
    start: list[Tensor]
    is_reverse: bool
    epsilon: float
    uses_bias: bool
    clips_first: bool
    cell: Tensor | None = None

    kernel: ClassVar[Any]

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        states = [each[None] for each in self.start]
        result = self.kernel(
            self._turned(inputs[0]), states if len(states) > 1 else states[0], self.weights, len(self.weights) == 4,
            1, 0.0, False, False, False,
        )  # fmt: skip
        self.cell = result[-1]
        return self._turned(result[0]).contiguous()

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        input, output, relevance = (self._turned(each) for each in (inputs[0], output, relevance))
        before = torch.cat([self.start[0][None], output[:-1]])  # (T, B, H)
        shares, kept = self.through_time(input, before, output, relevance)
        kept = self._turned(kept)
        return [self._turned(shares)], kept.transpose(0, 1) if self.clips_first else kept, None

    @abstractmethod
    def through_time(self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """Relevance of the input (T, B, I), and what constants keep (T, B, H).

        Args:
            input: (T, B, I).
            before: the states before each step, (T, B, H).
            output: the states after each step, (T, B, H).
            relevance: of the output.
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

    def through_time(self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
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
        kept[0] += carried  # of the state before the first step
        return input * (quotients @ self.weights[0].chunk(3)[2]), kept


class LSTM(Recurrence):
    """`c' = f * c + i * g`, `h' = o * tanh(c')`, with `g = tanh(W x + U h + b)` and the gates i, f, o as constants."""

    kernel = staticmethod(torch.lstm)

    def through_time(self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """See `Recurrence.through_time`."""
        of_input, of_state, biases = self.products(input, before, 4)
        sums = [one + other for one, other in zip(of_input, of_state, strict=True)]
        constants = [one + other for one, other in zip(biases[:4], biases[4:], strict=True)]
        enter, forget = ((sums[g] + constants[g]).sigmoid() for g in (0, 1))
        candidate = sums[2] + constants[2]
        entering = enter * candidate.tanh()
        cells = [self.start[1]]
        for step in range(len(input)):
            cells.append(forget[step] * cells[-1] + entering[step])
        total = self._stable(torch.stack(cells[1:]))
        of_candidate, of_before = entering / total, forget * torch.stack(cells[:-1]) / total
        denominator = self._stable(candidate, constants[2])
        state_weight = self.weights[1].chunk(4)[2]
        quotients, carried, in_cell = torch.empty_like(output), torch.zeros_like(output[0]), torch.zeros_like(output[0])
        for step in reversed(range(len(input))):
            own = relevance[step] + carried + in_cell
            quotients[step] = own * of_candidate[step] / denominator[step]
            in_cell = own * of_before[step]
            carried = before[step] * (quotients[step] @ state_weight)
        kept = quotients * constants[2] if self.uses_bias else torch.zeros_like(quotients)
        kept[0] += carried + in_cell
        return input * (quotients @ self.weights[0].chunk(4)[2]), kept


class TanhRNN(Recurrence):
    """`h' = tanh(W x + U h + b)`."""

    kernel = staticmethod(torch.rnn_tanh)

    def through_time(self, input: Tensor, before: Tensor, output: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """See `Recurrence.through_time`."""
        (of_input,), (of_state,), (one, other) = self.products(input, before, 1)
        denominator = self._stable(of_input + of_state + one + other, one + other)
        quotients, carried = torch.empty_like(output), torch.zeros_like(output[0])
        for step in reversed(range(len(input))):
            quotients[step] = (relevance[step] + carried) / denominator[step]
            carried = before[step] * (quotients[step] @ self.weights[1])
        kept = quotients * (one + other) if self.uses_bias else torch.zeros_like(quotients)
        kept[0] += carried
        return input * (quotients @ self.weights[0]), kept


class ReluRNN(TanhRNN):
    """`h' = relu(W x + U h + b)`."""

    kernel = staticmethod(torch.rnn_relu)


class Refused(Pass):
    """What has no rule, if its relevance is asked for."""

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        raise NoRule("uses the last cell state of an LSTM")


def recurrent(kind: type[Recurrence]) -> Any:
    """The rule of a recurrent layer of PyTorch: several layers, one or both directions."""

    def rule(
        watch: Watch, input: Tensor, hx: Any, params: Any, has_biases: Any, layers: int = 1, dropout: float = 0.0,
        train: bool = False, bidirectional: bool = False, batch_first: bool = False,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        if isinstance(has_biases, list | tuple):
            raise NoRule(f"applies {kind.__name__} to packed sequences")
        starts = list(hx) if isinstance(hx, list | tuple) else [hx]
        if any(map(depends, starts)):
            raise NoRule(f"applies {kind.__name__} with a computed first state")
        count = len(params) // (layers * (1 + bidirectional))
        if count not in (2, 4):
            raise NoRule(f"applies {kind.__name__} with projections")
        steps = input.transpose(0, 1) if batch_first else input
        steps = steps[:, None] if input.dim() == 2 else steps
        lasts, cells = [], []
        for layer in range(layers):
            outputs = []
            for way in range(1 + bidirectional):
                number = layer * (1 + bidirectional) + way
                start = [each[number] if input.dim() == 3 else each[number][None] for each in starts]
                own = [each.detach() for each in params[number * count : (number + 1) * count]]
                step = kind(own, start, bool(way), watch.composite.epsilon, watch.composite.uses_bias, batch_first)
                outputs.append(watch.step(step, steps))
                lasts.append(outputs[-1][0 if way else -1])
                cells.append(step.cell)
            steps = torch.cat(outputs, -1)
        last, output = torch.stack(lasts), steps.transpose(0, 1) if batch_first else steps
        if input.dim() == 2:
            last, output = last[:, 0], steps[:, 0]
        for result in (output, last):
            note_of(result).layers = note_of(input).layers + layers
        if kind is not LSTM:
            return output, last
        cell = torch.cat([each for each in cells if each is not None]).view(last.shape)
        return output, last, watch.step(Refused(lambda _: cell), steps)

    return rule
