"""The model that is explained: a front end, a network, and the names of its outputs."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, SupportsIndex

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.modules.answers import Answers
from auscult.modules.front_end import as_front_end
from auscult.plain_data import shown

log = logging.getLogger(__name__)

LOWEST_RATE = 100  # hertz; a lower one is meant in kilohertz


class Trained(Protocol):
    """A trained classifier, such as a `Classifier`."""

    front_end: nn.Module
    network: nn.Module
    classes: list[str]


class Model(nn.Module):
    """`front_end(waveform (B, C, T)) -> input (B, ...)`, `network(input) -> logits (B, classes)`.

    It shares its modules with the objects that it is made from, and moves to another device with them.

    Args:
        network: any module; relevance belongs to its input.
        front_end: any module that makes the network's input; None if the network takes waveforms.
        classes: names of the classes, in the order of the logits; of tags; or of a number.
        sample_rate: of the waveforms, in hertz.
        kind: what the outputs mean: "classes", "tags" or "number", see `auscult.modules.answers`.
        channels: of the waveforms; recordings of one channel are given to all of them, others have to have as many.

    Attributes:
        mixes: whether the network's outputs for a clip depend on the other clips of its batch.

    Raises:
        Mistake: the network or the front end is no module, the classes are no names, or the rate is no rate of
            recordings, or the channels have no number.
    """

    def __init__(
        self, network: nn.Module, *, front_end: nn.Module | None = None, classes: Sequence[str], sample_rate: int,
        kind: str = "classes", channels: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(network, Mapping):
            raise Mistake("network holds weights only; build the network, and give them to its load_state_dict.")
        for name, module in (("network", network), ("front_end", front_end)):
            if not isinstance(module, nn.Module | None) or (module is None and name == "network"):
                raise Mistake(f"{name}={shown(module)} is no module; give a torch.nn.Module.")
        if isinstance(classes, str) or not isinstance(classes, Iterable):
            raise Mistake(
                f"classes={shown(classes)} are no names; name them in the order of the logits: ['cat', 'dog']."
            )
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, SupportsIndex) or sample_rate < LOWEST_RATE:
            raise Mistake(f"sample_rate={shown(sample_rate)} is not a whole number of {LOWEST_RATE} Hz or more.")
        if isinstance(channels, bool) or not isinstance(channels, SupportsIndex) or channels < 1:
            raise Mistake(f"channels={shown(channels)} is not a whole number of 1 or more.")
        self.network, self.front_end = network, as_front_end(nn.Identity() if front_end is None else front_end)
        self.classes, self.sample_rate, self.kind = list(classes), int(sample_rate), kind
        self.channels, self.mixes = int(channels), False
        self.silences: dict[tuple[int, torch.device], Tensor] = {}

    @classmethod
    def of(cls, trained: Trained, sample_rate: int, channels: int = 1) -> "Model":
        """The model of a trained classifier, whose number, if it gives one, is in its own unit."""
        answers: Answers | None = getattr(trained, "answers", None)
        network = trained.network if answers is None else answers.whole(trained.network)
        kind = "classes" if answers is None else answers.kind
        front_end, classes = trained.front_end, trained.classes
        how: dict[str, Any] = {"sample_rate": sample_rate, "kind": kind, "channels": channels}
        return cls(network, front_end=front_end, classes=classes, **how)

    def having(self, network: nn.Module, **changes: Any) -> "Model":
        """A model of another network, and of what else is changed; all the rest is that of this model."""
        names = ("front_end", "classes", "sample_rate", "kind", "channels")
        made = Model(network, **{name: getattr(self, name) for name in names} | changes)
        made.mixes = self.mixes
        return made

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits (B, classes) float32 of waveforms (B, C, T)."""
        return self.logits(self.front_end(waveform))

    def logits(self, input: Tensor) -> Tensor:
        """Logits (B, C) float32 of inputs (B, ...).

        Raises:
            Mistake: the network gives something else than a tensor.
        """
        logits = self.network(input)
        if not isinstance(logits, Tensor):
            raise Mistake(
                f"the network gives a {type(logits).__name__}; let it give its logits alone, a tensor (B, classes)."
            )
        return logits.float()

    def silence(self, samples: int) -> Tensor:
        """The network's input (1, ...) for so many samples of digital silence; computed once.

        Zeros take its place if it is not finite, as where a clip is divided by its own spread.
        """
        key = (samples, self.device)
        if key not in self.silences:
            with torch.inference_mode(False), torch.no_grad():
                silence: Tensor = self.front_end(torch.zeros(1, self.channels, samples, device=self.device))
            if not silence.isfinite().all():
                log.warning("The input that is explained is not finite for digital silence; zeros take its place.")
                silence = torch.zeros_like(silence)
            self.silences[key] = silence
        return self.silences[key]


def look_like_probabilities(logits: Tensor) -> bool:
    """Whether all logits (B, C) are positive and sum to 1, as behind a softmax."""
    return bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < 1e-5).all())
