"""The explanation of one recording, to look at and to listen to."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.explain import relative_to_logit
from auscult.explain.show import plots
from auscult.explain.show.audible import SMOOTHING_SECONDS, wav
from auscult.explain.show.clip import View, drawn, sounds_of
from auscult.explain.show.media import Sound
from auscult.mistake import Mistake
from auscult.modules.model import Model


@dataclass(frozen=True, repr=False)
class Explanation:
    """The explanation of a model's prediction for one recording. Tensors are on the CPU.

    Args:
        model: the model that was explained; in another domain, the model that the domain makes.
        waveform: (T,) float32, the waveform that the model was given; (C, T) of several channels.
        logits: (C,) float32.
        target: the class whose logit is explained.
        relevance: float32, in the unit of the logit: (T,) of samples, (F,) of frequencies, (F, N) of a spectrogram or a
            short-time Fourier transform, frequency by time; (C, ...) of an input of several channels.
        apart: relevance that the domain cannot show.
        biases: relevance that the network's biases got; None if the attribution does not separate it.
        unshared: relevance that nothing could get, because nothing contributed where it was to be shared out; likewise.
        shape: shape of the network's input without the batch: (C, T), (C, F), (C, F, N) or another one.
        cut: whether the recording is longer than the model's clips, so that only its loudest part was used.
        smoothing: of relevance of samples before it is heard, in seconds.
        attribution: what gave the relevance; None: relevance of samples is not handed on to time and frequency.
    """

    model: Model
    waveform: Tensor
    logits: Tensor
    target: str
    relevance: Tensor
    apart: float
    biases: float | None
    unshared: float | None
    shape: tuple[int, ...]
    cut: bool
    smoothing: float = SMOOTHING_SECONDS
    attribution: Attribution | None = None

    @property
    def sample_rate(self) -> int:
        """Sample rate of the waveform and the sounds, in hertz."""
        return self.model.sample_rate

    @property
    def probabilities(self) -> Tensor:
        """The softmax of the logits, (C,), in the order of `model.classes`; the sigmoids of tags; none of a number."""
        if self.model.kind == "number":
            return self.logits[:0]
        return self.logits.sigmoid() if self.model.kind == "tags" else self.logits.softmax(0)

    @property
    def prediction(self) -> str:
        """The likeliest class or tag; or the number, as a text."""
        if self.model.kind == "number":
            return f"{float(self.logits[0]):.4g}"
        return self.model.classes[int(self.logits.argmax())]

    @property
    def conservation_error(self) -> float | None:
        """|sum of `relevance`, `apart`, `biases` and `unshared` - logit| / |logit|; None for AttnLRP, which loses some.

        It is near 0 if the attribution shares the logit out, as LRP does. For other attributions it has no meaning.
        """
        if self.attribution is not None and self.attribution.loses_relevance:
            return None
        logit = float(self.logits[self.model.classes.index(self.target)])
        kept = self.apart + (self.biases or 0.0) + (self.unshared or 0.0)
        total = float(self.relevance.double().sum()) + kept
        return float(relative_to_logit(abs(total - logit), logit))

    @cached_property
    def view(self) -> View:
        """The axes of the relevance: `view.times` in seconds, `view.frequencies` in hertz.

        Raises:
            Mistake: the front end does not name the axes.
        """
        return View.of(self.model, self.shape, self.smoothing, self.attribution)

    @property
    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        """The waveform (C, T) and the relevance (C, ...), also of one channel."""
        return self.waveform.numpy().reshape(self.model.channels, -1), self.relevance.numpy().reshape(self.shape)

    def plot(self) -> Figure:
        """Draws the clip and its relevance, red for the target and blue against it.

        Raises:
            Mistake: see `view`.
        """
        figure = drawn(self.view, *self.channels, f"Relevance for {self.target}")
        figure._repr_png_ = partial(plots.png, figure)  # type: ignore[attr-defined]  # notebooks show it without pyplot
        return figure

    @cached_property
    def sounds(self) -> dict[str, np.ndarray]:
        """The clip and its audible relevance by name, see `audible.sounds`: (T,), or left and right (T, 2).

        Raises:
            Mistake: see `view`.
        """
        return sounds_of(self.view, *self.channels)

    @property
    def files(self) -> list[Sound]:
        """The sounds as WAV files.

        Raises:
            Mistake: see `view`.
        """
        return [Sound(name, wav(samples, self.sample_rate)) for name, samples in self.sounds.items()]

    def listen(self) -> Any:
        """Makes players for a notebook, an `IPython.display.HTML`.

        Raises:
            Mistake: IPython is not installed; see also `view`.
        """
        try:
            from IPython.display import HTML
        except ModuleNotFoundError as error:
            raise Mistake("listen() needs IPython, which is not installed; `sounds` has the same as arrays.") from error

        players = (f'<p>{sound.name}<br><audio controls src="{sound.uri}"></audio></p>' for sound in self.files)
        return HTML("".join(players))

    def __repr__(self) -> str:
        shape = tuple(self.relevance.shape)
        if self.model.kind == "number":
            return f"<Explanation of {self.target}: {self.prediction}, relevance of the shape {shape}>"
        share = float(self.probabilities[self.model.classes.index(self.prediction)])
        return f"<Explanation of {self.target}: {self.prediction} at {share:.1%}, relevance of the shape {shape}>"
