"""A hypothesis about what the network uses, as a change of the test set.

An example: the network hears sex in the frequencies of the voice. Then it must take men's voices for women's when they
are moved up, and women's for men's when they are moved down. A new intervention is a subclass of `Intervention` and a
YAML in `conf/intervention`, built with `build(node, "intervention", sample_rate)`.

Each change also damages a clip, and a network may fail because of the damage. So an intervention has shams: changes
with the same damage, but without the change of the hypothesis. The intervention supports the hypothesis only if it
lowers accuracy further than its shams do; one that keeps what the network is thought to use, if it lowers it less.

    opposite     the change in the opposite direction
    artefact     the damage alone: what the change empties or blurs, with everything else in its place
    unchanged    no change, by the same code

A front end scales a changed waveform to its own level, so the rest that a filter leaves is as loud as the whole was.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from auscult.explain.intervention.bounds import NEEDS_SPECTROGRAM, check_band, checked_factors, for_classes, powers
from auscult.explain.intervention.pitch import at_pitch
from auscult.mistake import Mistake
from auscult.modules.model import Model

Change = Callable[[Model, Tensor, Tensor], Tensor]

SHAMS = {"opposite": "the opposite", "artefact": "the artefact alone", "unchanged": "no change by the same code"}
# arXiv 1807.03418v3, AlexNet on AudioMNIST's sex, approximately; the ends are one standard deviation over folds away
PAPER = {
    "intervention/accuracy_before": 0.9587,
    "intervention/accuracy_before_low": 0.9302,
    "intervention/accuracy_before_high": 0.9872,
    "intervention/accuracy_after": 0.203,
    "intervention/accuracy_after_low": 0.077,
    "intervention/accuracy_after_high": 0.329,
}


class Intervention(ABC):
    """A change of clips: `intervention(model, waveform (B, C, T), label (B,)) -> input (B, ...)`.

    Args:
        sample_rate: sample rate of the waveforms, in hertz.
    """

    spares = False  # whether, by the hypothesis, it harms less than its shams, and not more

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    @abstractmethod
    def __call__(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        """The inputs (B, ...) of the network after the change of waveforms (B, C, T) with labels (B,) int64.

        Raises:
            Mistake: the intervention does not suit this model.
        """

    def shams(self) -> dict[str, Change]:
        """The controls of this intervention, with the same arguments, by their names in `SHAMS`."""
        return {}


class Scaling(Intervention):
    """Multiplies frequencies by a factor for each class.

    Args:
        factors: by class name; a factor above 1 moves frequencies up.

    Raises:
        Mistake: a factor is no number from 0.1 to 10.
    """

    def __init__(self, sample_rate: int, factors: Mapping[str, float]) -> None:
        super().__init__(sample_rate)
        self.factors = checked_factors(factors)


class ScaleSpectrogram(Scaling):
    """Stretches the frequency axis of the network's spectrogram about 0 Hz by a factor for each class.

    Rows are interpolated linearly; rows from above the highest one get the floor. The paper stretches spectrograms of
    men by 1.5 and of women by 0.66 (Becker et al., arXiv 1807.03418).

    Args, Raises: as for `Scaling`.
    """

    def __call__(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        frequencies = self._frequencies(model)
        factor = torch.tensor(for_classes(self.factors, model.classes), device=label.device)
        spectrogram, floor = model.front_end(waveform), model.silence(waveform.shape[-1])  # (B, C, R, columns)
        return stretched(spectrogram, frequencies.to(factor), factor[label], floor)

    def shams(self) -> dict[str, Change]:
        """See `Intervention.shams`. The artefact empties the rows that the change empties or moves beyond the top."""
        opposite, unchanged = (ScaleSpectrogram(self.sample_rate, powers(self.factors, power)) for power in (-1, 0))
        return {"opposite": opposite, "artefact": self._emptied, "unchanged": unchanged}

    def _frequencies(self, model: Model) -> Tensor:
        """The frequencies of the spectrogram's rows, (R,), in hertz."""
        if model.front_end.frequencies is None:
            raise Mistake(NEEDS_SPECTROGRAM)
        return model.front_end.frequencies

    def _emptied(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        spectrogram, floor = model.front_end(waveform), model.silence(waveform.shape[-1])
        frequencies = self._frequencies(model).to(spectrogram)  # (R,)
        factor = torch.tensor(for_classes(self.factors, model.classes)).to(spectrogram)[label]  # (B,)
        highest = frequencies[-1] * torch.minimum(factor, 1 / factor)
        return torch.where((frequencies > highest[:, None])[:, None, :, None], floor, spectrogram)


class ScaleWaveform(Scaling):
    """Multiplies all frequencies of a waveform by the factor of its class; see `at_pitch`.

    Args, Raises: as for `Scaling`.
    """

    def __call__(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        return model.front_end(self.changed(model, waveform, label))

    def changed(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        """The waveforms (B, C, T), each with the frequencies of its class multiplied."""
        factors = for_classes(self.factors, model.classes)
        changed = torch.empty_like(waveform)
        for number in label.unique().tolist():
            clips = label == number
            changed[clips] = at_pitch(waveform[clips], factors[number], self.sample_rate)
        return changed

    def shams(self) -> dict[str, Change]:
        """See `Intervention.shams`. The artefact multiplies all frequencies, and divides them again."""
        opposite, unchanged = (ScaleWaveform(self.sample_rate, powers(self.factors, power)) for power in (-1, 0))

        def there_and_back(model: Model, waveform: Tensor, label: Tensor) -> Tensor:
            return opposite(model, self.changed(model, waveform, label), label)

        return {"opposite": opposite, "artefact": there_and_back, "unchanged": unchanged}


class KeepBand(Intervention):
    """Keeps only a band of frequencies of the waveform, without a shift in time: does the network need no other?

    Args:
        low_hz: where the band begins; null: at 0 Hz.
        high_hz: where it ends; null: at half the sample rate.
        edge_hz: width of the raised-cosine edges; the gain is 1/2 at low_hz and high_hz.

    Raises:
        Mistake: there is no such band.
    """

    spares = True

    def __init__(self, sample_rate: int, low_hz: float | None, high_hz: float | None, edge_hz: float = 50.0) -> None:
        super().__init__(sample_rate)
        check_band(low_hz, high_hz, edge_hz)
        for name, value in (("low_hz", low_hz), ("high_hz", high_hz)):
            if value is not None and value >= sample_rate / 2:
                raise Mistake(
                    f"intervention.{name}={value} is neither null nor a frequency between 0 and"
                    f" {sample_rate / 2:g} Hz, half the sample rate."
                )
        self.low_hz, self.high_hz, self.edge_hz = low_hz, high_hz, edge_hz

    def __call__(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        return model.front_end(self.band(waveform))

    def shams(self) -> dict[str, Change]:
        """The opposite keeps the rest of the spectrum. The artefact keeps an equally wide band, if there is room."""
        shams: dict[str, Change] = {"opposite": self._without_band}
        if (elsewhere := self.elsewhere()) is not None:
            shams["artefact"] = type(self)(self.sample_rate, *elsewhere, self.edge_hz)
        return shams

    def _without_band(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        return model.front_end(waveform - self.band(waveform))

    def elsewhere(self) -> tuple[float | None, float | None] | None:
        """Ends, in hertz, of an equally wide band at the far end of the spectrum; None if the two would overlap."""
        highest = self.sample_rate / 2
        low, high = self.low_hz or 0.0, self.high_hz or highest
        below, above, width = low, highest - high, high - low
        if max(below, above) < width:
            return None
        return (None, width) if below > above else (highest - width, None)

    def band(self, waveform: Tensor) -> Tensor:
        """Filters waveforms (B, C, T), so that only the band is left, (B, C, T)."""
        samples = waveform.shape[-1]
        padded = 2 * samples  # so that ringing beyond one end does not reappear at the other
        frequency = torch.fft.rfftfreq(padded, 1 / self.sample_rate, device=waveform.device)
        gain = torch.ones_like(frequency)
        if self.low_hz is not None:
            gain = gain * self._rise(frequency - self.low_hz)
        if self.high_hz is not None:
            gain = gain * self._rise(self.high_hz - frequency)
        return torch.fft.irfft(torch.fft.rfft(waveform, padded) * gain, padded)[..., :samples]

    def _rise(self, inside: Tensor) -> Tensor:
        return torch.sin((inside / self.edge_hz + 0.5).clamp(0, 1) * torch.pi / 2).square()


class RemoveBand(KeepBand):
    """Removes a band of frequencies from the waveform, the one that `KeepBand` would keep: does the network need it?"""

    spares = False

    def __call__(self, model: Model, waveform: Tensor, label: Tensor) -> Tensor:
        return self._without_band(model, waveform, label)

    def shams(self) -> dict[str, Change]:
        """The artefact of `KeepBand`. To keep the band alone would remove far more, and is no control."""
        return {name: sham for name, sham in super().shams().items() if name == "artefact"}


def stretched(spectrogram: Tensor, frequencies: Tensor, factor: Tensor, floor: Tensor) -> Tensor:
    """Stretches the frequency axis of spectrograms about 0 Hz, (B, C, R, columns).

    Args:
        spectrogram: (B, C, R, columns).
        frequencies: (R,), frequencies of the rows, in hertz, ascending.
        factor: (B,).
        floor: (1, C, R, columns), for rows from above the highest one.
    """
    wanted = frequencies / factor[:, None]  # (B, R) where each row comes from, in hertz
    upper = torch.searchsorted(frequencies, wanted).clamp(1, len(frequencies) - 1)  # (B, R) rows
    lower_hz, upper_hz = frequencies[upper - 1], frequencies[upper]
    weight = ((wanted - lower_hz) / (upper_hz - lower_hz)).clamp(0, 1)

    def rows(number: Tensor) -> Tensor:
        return spectrogram.gather(2, number[:, None, :, None].expand_as(spectrogram))

    result = torch.lerp(rows(upper - 1), rows(upper), weight[:, None, :, None])
    return torch.where((wanted > frequencies[-1])[:, None, :, None], floor, result)


def paper_of(intervention: Intervention | None, classes: list[str]) -> dict[str, float] | None:
    """The paper's metrics of the same intervention, named as in `compare`; None if it has no such one."""
    same = isinstance(intervention, ScaleSpectrogram) and intervention.factors == {"male": 1.5, "female": 0.66}
    return PAPER if same and classes == ["male", "female"] else None
