"""A network cut in two at one of its modules: what makes that module's output, and what follows.

So the input that is explained can be the spectrogram that a network makes of a waveform by itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.conf import nearest

MOST_NAMED = 20  # modules in a message


class _Reached(Exception):
    """The module has given its output."""


class Before(nn.Module):
    """What a network does up to one of its modules.

    Args:
        network: takes waveforms (B, C, T), or (B, T) if it is `flat`.
        name: of the module, as in `network.named_modules()`.

    Attributes:
        size: channels and length of the waveforms that it has seen last.
        frequencies, times: of the module's output, if it is a spectrogram of torchaudio, see `axes_of`.

    Raises:
        Mistake: there is no such module.
    """

    def __init__(self, network: nn.Module, name: str, flat: bool) -> None:
        super().__init__()
        self.network, self.name, self.flat = network, name, flat
        self.size = torch.Size()
        self.module = module_at(network, name)
        self.frequencies: Tensor | None = None
        self.times: Tensor | None = None

    def forward(self, waveform: Tensor) -> Tensor:
        """The module's output for waveforms (B, C, T): (B, F, N) becomes (B, 1, F, N)."""
        self.size = waveform.shape[1:]
        held: list[Any] = []

        def hold(module: nn.Module, arguments: Any, output: Any) -> None:
            held.append(output)
            raise _Reached

        with hooked(self.module, hold), suppress(_Reached):
            self.network(waveform.squeeze(1) if self.flat else waveform)
        if not held:
            raise Mistake(f"front_end={self.name} is not used in the network's forward; name another module.")
        if not isinstance(held[0], Tensor):
            raise Mistake(f"front_end={self.name} gives a {type(held[0]).__name__}; name a module that gives a tensor.")
        return held[0][:, None] if held[0].dim() == 3 else held[0]


class Behind(nn.Module):
    """What a network does behind one of its modules: the whole network, with the given output of that module.

    Args:
        before: what the network does up to the module. It has just seen the waveforms whose input follows.
    """

    def __init__(self, before: Before) -> None:
        super().__init__()
        self.before = before

    def forward(self, input: Tensor) -> Any:
        """The network's outputs if the module gives `input`.

        Raises:
            Mistake: the module is used more than once, so that it has several outputs.
        """
        times = 0

        def replace(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
            nonlocal times
            times += 1
            return input.squeeze(1) if output.dim() == 3 else input

        # nothing of these waveforms comes through; only the sizes that the network takes from them
        before = self.before
        silence = input.new_zeros((len(input), *(before.size[1:] if before.flat else before.size)))
        with hooked(before.module, replace):
            outputs = before.network(silence)
        if times != 1:
            raise Mistake(
                f"front_end={before.name} is used {times} times in the network; name a module that is used once."
            )
        return outputs


@contextmanager
def hooked(module: nn.Module, hook: Any) -> Iterator[None]:
    """Calls the hook with a module's output, which it may replace."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def module_at(network: nn.Module, name: str) -> nn.Module:
    """The module of this name in a network.

    Raises:
        Mistake: there is none.
    """
    modules = dict(network.named_modules())
    modules.pop("")
    if name not in modules:
        names = list(modules)
        known = nearest(name, names) if len(names) <= MOST_NAMED else f"it has {', '.join(names[:MOST_NAMED])}, …"
        raise Mistake(f"front_end={shown(name)} is no front end of ours and no module of the network; {known}.")
    return modules[name]
