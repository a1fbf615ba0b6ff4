"""What relevance is of: the network's own input, or its signal's samples, frequencies or time-frequency bins.

A domain puts the inverse of a transform before a network and the transform behind its front end. That is a classifier
of its own, of the same logits, whose inputs are coefficients: what can be asked of a network can be asked of it.

    input            as the network is given it
    time             samples
    frequency        coefficients of the Fourier transform of the whole clip
    time_frequency   coefficients of its short-time Fourier transform

The signal is what a waveform network is given, and the clip itself where the network is given a spectrogram. Relevance
of spectrogram bins is first handed back to samples, by the spectrogram's linear part (`ShortTimeFourier.of_samples`).

A new domain is anything with what `Domain` has, and a YAML in `conf/domain`.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from src.explain.attribution import Attribution, relevance_of
from src.explain.fourier import Fourier, ShortTimeFourier
from src.explain.inputs import silence_of
from src.mistake import Mistake
from src.modules.classifier import Classifier


class Domain(Protocol):
    """Where a trained classifier's relevance is looked at."""

    classifier: Classifier  # what is asked: its front end makes the domain's coefficients, its network takes them

    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients, and what cannot be seen among them.

        Args:
            attribution: the method.
            waveform: (B, 1, T).
            input: (B, ...), what `classifier.front_end` makes of it.
            target: (B,) int64.

        Returns:
            (B, ...) and (B,), in the unit of the logit.

        Raises:
            Mistake: the method gives nothing that could be shared out over coefficients.
        """
        ...

    def signal_of(self, coefficients: Tensor) -> Tensor:
        """The signal (B, ...) that the coefficients (B, ...) make, linearly; themselves where they make none."""
        ...


class Input:
    """The network's own input.

    Args:
        classifier: the trained one, in evaluation mode.
        samples: length of the waveforms.
        sample_rate: in hertz.
    """

    def __init__(self, classifier: Classifier, samples: int, sample_rate: int) -> None:
        self.classifier = classifier

    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Domain.relevance`; nothing is kept apart."""
        silence = silence_of(self.classifier, waveform.shape[-1])
        relevance = relevance_of(attribution, self.classifier.network, input, target, silence)
        return relevance, relevance.new_zeros(len(relevance))

    def signal_of(self, coefficients: Tensor) -> Tensor:
        """See `Domain.signal_of`."""
        return coefficients


class Samples:
    """A transform that leaves the samples as they are."""

    def transform(self, waveform: Tensor) -> Tensor:
        return waveform

    def inverse(self, coefficients: Tensor) -> Tensor:
        return coefficients

    def relevance(self, waveform: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        return relevance, torch.zeros_like(relevance[..., 0])


class OfSignal:
    """A domain of the signal, by a transform of it.

    Args:
        classifier, samples, sample_rate: as for `Input`.
        transform: with `transform`, `inverse` and `relevance`, as those of `src.explain.fourier`.
        axes: `frequencies` in hertz and `times` in seconds of the coefficients, if they have any, for pictures.

    Raises:
        Mistake: the front end makes a spectrogram whose bins cannot be handed back to samples.
    """

    def __init__(self, classifier: Classifier, samples: int, transform: Any, **axes: Tensor) -> None:
        self.trained, self.transform = classifier, transform
        with torch.no_grad():
            input = classifier.front_end(torch.zeros(1, 1, samples, device=classifier.device))
        self.of_waveform = input.shape == (1, 1, samples)
        if not self.of_waveform and not hasattr(classifier.front_end, "spread"):
            raise Mistake(
                f"domain=… cannot hand relevance of {type(classifier.front_end).__name__} back to samples, as it has no"
                " `spread`; leave domain out."
            )
        if not self.of_waveform:
            front_end: Any = classifier.front_end
            self.spectrogram = ShortTimeFourier(samples, torch.hann_window(front_end.window), front_end.hop)
        signal = classifier.front_end if self.of_waveform else nn.Identity()
        rest = classifier.network if self.of_waveform else nn.Sequential(classifier.front_end, classifier.network)
        self.classifier = Classifier(
            Coefficients(signal, transform, **axes), OfCoefficients(rest, transform),
            classifier.augmentation, classifier.classes, classifier.optimizer, classifier.schedule,
        ).eval()  # fmt: skip

    def relevance(
        self, attribution: Attribution, waveform: Tensor, input: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Domain.relevance`. Methods that only ask for logits are asked of the coefficients themselves."""
        is_input = self.of_waveform and isinstance(self.transform, Samples)
        if is_input or getattr(attribution, "asks_logits_only", False):
            asked = self.trained if is_input else self.classifier
            silence = silence_of(asked, waveform.shape[-1])
            relevance = relevance_of(attribution, asked.network, input, target, silence)
            return relevance, relevance.new_zeros(len(relevance))
        if getattr(attribution, "is_slope", False):
            raise Mistake(
                f"{type(attribution).__name__} says how the logit changes with the input, not what it is made of, which"
                " alone can be shared out over another domain; choose gradient_x_input, or leave domain out."
            )
        front_end: Any = self.classifier.front_end
        with torch.no_grad():
            signal = front_end.signal(waveform)  # (B, 1, T): not of the coefficients, whose rounding is no silence
        relevance, silent = self._of_samples(attribution, signal, target)
        shares, apart = self.transform.relevance(signal, relevance)
        return shares, apart[:, 0] + silent

    def signal_of(self, coefficients: Tensor) -> Tensor:
        """See `Domain.signal_of`."""
        signal: Tensor = self.transform.inverse(coefficients)
        return signal

    def _of_samples(self, attribution: Attribution, signal: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Relevance (B, 1, T) of the signal's samples, and what could not be handed back to them, (B,)."""
        silence = silence_of(self.trained, signal.shape[-1])
        if self.of_waveform:
            relevance = relevance_of(attribution, self.trained.network, signal, target, silence)
            return relevance, relevance.new_zeros(len(relevance))
        front_end: Any = self.trained.front_end
        with torch.no_grad():
            input = front_end(signal)  # (B, 1, F, N)
        bins = front_end.spread(relevance_of(attribution, self.trained.network, input, target, silence))
        relevance, apart = self.spectrogram.of_samples(signal, bins)
        return relevance, apart[:, 0]


class Time(OfSignal):
    """Samples of the signal.

    Args: as for `Input`.
    """

    def __init__(self, classifier: Classifier, samples: int, sample_rate: int) -> None:
        super().__init__(classifier, samples, Samples())


class Frequency(OfSignal):
    """Coefficients (B, 1, T // 2 + 1) of the signal's Fourier transform.

    Args: as for `Input`.
    """

    def __init__(self, classifier: Classifier, samples: int, sample_rate: int) -> None:
        frequencies = torch.arange(samples // 2 + 1) * sample_rate / samples
        super().__init__(classifier, samples, Fourier(samples), frequencies=frequencies)


class TimeFrequency(OfSignal):
    """Coefficients (B, 1, M // 2 + 1, frames) of the signal's short-time Fourier transform under Hann windows.

    Args:
        classifier, samples, sample_rate: as for `Input`.
        window_seconds: length of the windows, to the next sample: M of them.
        hop_seconds: from one frame to the next.

    Raises:
        Mistake: the signal cannot be made of such frames.
    """

    def __init__(
        self, classifier: Classifier, samples: int, sample_rate: int, window_seconds: float, hop_seconds: float
    ) -> None:
        size, hop = round(window_seconds * sample_rate), round(hop_seconds * sample_rate)
        if not 2 <= size <= samples:
            raise Mistake(
                f"domain.window_seconds={window_seconds:g} is not within two samples and the clip's"
                f" {samples / sample_rate:g} seconds."
            )
        view = ShortTimeFourier(samples, torch.hann_window(size), hop)
        frequencies = torch.arange(size // 2 + 1) * sample_rate / size
        super().__init__(
            classifier, samples, view, frequencies=frequencies, times=torch.arange(view.frames) * hop / sample_rate
        )


class Coefficients(nn.Module):
    """A front end: coefficients (B, 1, ...) of the signals of waveforms (B, 1, T)."""

    def __init__(self, signal: nn.Module, transform: Any, **axes: Tensor) -> None:
        super().__init__()
        self.signal, self.transform = signal, transform
        for name, axis in axes.items():
            setattr(self, name, axis)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.transform.transform(self.signal(waveform))


class OfCoefficients(nn.Module):
    """A network of coefficients (B, 1, ...): that of the signals they are those of."""

    def __init__(self, network: nn.Module, transform: Any) -> None:
        super().__init__()
        self.network, self.transform = network, transform

    def forward(self, coefficients: Tensor) -> Tensor:
        return self.network(self.transform.inverse(coefficients))
