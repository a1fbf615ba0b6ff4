"""Where relevance is looked at: the network's own input, or the samples, frequencies or bins of its signal.

A domain puts a transform behind the front end and its inverse before the network. The result is a model with the same
logits, whose inputs are coefficients. It can be explained and measured like any other model.

    input            the input of the network
    time             samples
    frequency        coefficients of the Fourier transform of the whole clip
    time_frequency   coefficients of its short-time Fourier transform

The signal is the input of a waveform network, and the clip itself for a spectrogram network. Relevance of spectrogram
bins is first handed back to samples, by the linear part of the spectrogram (`ShortTimeFourier.to_samples`).

A new domain is a class with the methods of `Domain`, and a YAML in `conf/domain`.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, relevance_of
from auscult.explain.domain.coefficients import CoefficientFrontEnd, CoefficientNetwork, Samples
from auscult.explain.domain.fourier import Fourier, ShortTimeFourier
from auscult.mistake import Mistake
from auscult.modules.model import Model


class Domain(ABC):
    """Where a model's relevance is looked at.

    Args:
        model: the trained model, in evaluation mode.
        samples: length of the waveforms.

    Attributes:
        model: the model that is explained: its front end makes the coefficients of the domain for its network.
    """

    model: Model

    @abstractmethod
    def __init__(self, model: Model, samples: int) -> None: ...

    @abstractmethod
    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients, and the relevance that no coefficient can show.

        Args:
            attribution: the method.
            waveform: (B, C, T).
            input: (B, ...), the output of `model.front_end` for the waveform.
            target: (B,) int64.

        Returns:
            (B, ...) and (B,), in the unit of the logit.

        Raises:
            Mistake: the relevance of this method cannot be shared out over coefficients.
        """

    @abstractmethod
    def signal_of(self, coefficients: Tensor) -> Tensor:
        """The signal (B, ...) of coefficients (B, ...), linear; without a signal, the coefficients."""


class Input(Domain):
    """The network's own input.

    Args: as for `Domain`.
    """

    def __init__(self, model: Model, samples: int) -> None:
        self.model = model

    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Domain.relevance`; nothing is kept apart."""
        silence = self.model.silence(waveform.shape[-1])
        relevance = relevance_of(attribution, self.model.network, input, target, silence)
        return relevance, relevance.new_zeros(len(relevance))

    def signal_of(self, coefficients: Tensor) -> Tensor:
        """See `Domain.signal_of`."""
        return coefficients


class SignalDomain(Domain):
    """A domain of the coefficients of a transform of the signal.

    Args:
        model, samples: as for `Domain`.
        transform: an object with `transform`, `inverse` and `relevance`, as in `auscult.explain.domain.fourier`.
        frequencies, times: axes of the coefficients, in hertz and seconds; None if they have no such axis.

    Raises:
        Mistake: the front end makes a spectrogram whose relevance cannot be handed back to samples.
    """

    def __init__(
        self,
        model: Model,
        samples: int,
        transform: Any,
        frequencies: Tensor | None = None,
        times: Tensor | None = None,
    ) -> None:
        self.trained, self.transform = model, transform
        front_end = model.front_end
        self.takes_waveforms = model.silence(samples).shape == (1, model.channels, samples)
        if not (self.takes_waveforms or front_end.spreads):
            raise Mistake(
                f"domain=… cannot hand relevance of {front_end.name} back to samples, as it has no `spread`; leave"
                " domain out, or front_end if you named one."
            )
        if not self.takes_waveforms:
            self.spectrogram = ShortTimeFourier(samples, torch.hann_window(front_end.window), front_end.hop)
        signal = front_end if self.takes_waveforms else nn.Identity()
        rest = model.network if self.takes_waveforms else nn.Sequential(front_end, model.network)
        coefficients = CoefficientFrontEnd(signal, transform, frequencies, times)
        self.model = model.having(CoefficientNetwork(rest, transform), front_end=coefficients).eval()

    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Domain.relevance`. Methods that only need logits are applied to the coefficients themselves."""
        is_input = self.takes_waveforms and isinstance(self.transform, Samples)
        if is_input or attribution.asks_logits_only:
            model = self.trained if is_input else self.model
            silence = model.silence(waveform.shape[-1])
            relevance = relevance_of(attribution, model.network, input, target, silence)
            return relevance, relevance.new_zeros(len(relevance))
        if attribution.is_slope:
            raise Mistake(
                f"{attribution.name} says how the logit changes with the input. Only shares of the logit can be handed"
                " to another domain; choose gradient_x_input, or leave domain out."
            )
        front_end: Any = self.model.front_end
        with torch.no_grad():
            signal = front_end.signal(waveform)  # (B, C, T), not from the coefficients: their rounding is not silent
        relevance, silent = self._sample_relevance(attribution, signal, target)
        shares, apart = self.transform.relevance(signal, relevance)
        return shares, apart.sum(1) + silent

    def signal_of(self, coefficients: Tensor) -> Tensor:
        """See `Domain.signal_of`."""
        signal: Tensor = self.transform.inverse(coefficients)
        return signal

    def _sample_relevance(self, attribution: Attribution, signal: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Relevance (B, C, T) of the signal's samples, and the relevance that no sample could get, (B,)."""
        network, front_end = self.trained.network, self.trained.front_end
        silence = self.trained.silence(signal.shape[-1])
        if self.takes_waveforms:
            relevance = relevance_of(attribution, network, signal, target, silence)
            return relevance, relevance.new_zeros(len(relevance))
        with torch.no_grad():
            input = front_end(signal)  # (B, C, F, N)
        bins = front_end.spread(relevance_of(attribution, network, input, target, silence))
        relevance, apart = self.spectrogram.to_samples(signal, bins)
        return relevance, apart.sum(1)


class Time(SignalDomain):
    """Samples of the signal.

    Args: as for `Domain`.
    """

    def __init__(self, model: Model, samples: int) -> None:
        super().__init__(model, samples, Samples())


class Frequency(SignalDomain):
    """Coefficients (B, C, T // 2 + 1) of the signal's Fourier transform.

    Args: as for `Domain`.
    """

    def __init__(self, model: Model, samples: int) -> None:
        frequencies = torch.arange(samples // 2 + 1) * model.sample_rate / samples
        super().__init__(model, samples, Fourier(samples), frequencies)


class TimeFrequency(SignalDomain):
    """Coefficients (B, C, M // 2 + 1, frames) of the signal's short-time Fourier transform under Hann windows.

    Args:
        model, samples: as for `Domain`.
        window_seconds: length of the windows, rounded to M samples.
        hop_seconds: distance from one frame to the next.

    Raises:
        Mistake: the window does not fit the clip, or the signal cannot be recovered from such frames.
    """

    def __init__(self, model: Model, samples: int, window_seconds: float, hop_seconds: float) -> None:
        rate = model.sample_rate
        size, hop = round(window_seconds * rate), round(hop_seconds * rate)
        if not 2 <= size <= samples:
            raise Mistake(
                f"domain.window_seconds={window_seconds:g} is not between two samples and the clip's"
                f" {samples / rate:g} s; choose another one."
            )
        transform = ShortTimeFourier(samples, torch.hann_window(size), hop)
        frequencies, times = torch.arange(size // 2 + 1) * rate / size, torch.arange(transform.frames) * hop / rate
        super().__init__(model, samples, transform, frequencies, times)
