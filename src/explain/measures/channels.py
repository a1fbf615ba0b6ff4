"""Measures of inputs with several channels: to which of them does the network listen?"""

from typing import Self

from torch import Tensor

from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic

CHANNELS = Topic("channel", "to which channels of its input does the network listen?", 10)


class Channels(Measurement):
    """Measures how relevance is shared among the channels of the input, and how the input's energy is.

    The second is the control: a network that listens to all channels alike has more relevance in the loud ones.

    Args:
        count: C, the number of channels.
    """

    measures = (
        Measure(
            CHANNELS,
            "relevance",
            "a channel's share of the magnitudes of relevance",
            Better.COMPARE,
            title="Share of relevance in channel",
        ),
        Measure(
            CHANNELS,
            "energy",
            "a channel's share of the input's energy, beside which to see that of relevance",
            Better.COMPARE,
            title="Share of energy in channel",
        ),
    )

    def __init__(self, count: int) -> None:
        self.count = count

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if the input has one channel, or is no waveform and no spectrogram."""
        channels, *features = run.domain.model.silence(run.source.dataset.length).shape[1:]
        return cls(channels) if channels > 1 and features else None

    @property
    def names(self) -> list[str]:
        """See `Measurement.names`; channels count from 1."""
        return [f"{measure.column}/{number + 1}" for measure in self.measures for number in range(self.count)]

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        relevance, input = clips.explained.relevance.flatten(2), clips.explained.input.flatten(2)  # (B, C, ...)
        parts = [shares(relevance.abs().sum(2)), shares(input.abs().square().sum(2))]
        return dict(zip(self.names, (column for part in parts for column in part.T), strict=True))


def shares(sizes: Tensor) -> Tensor:
    """Sizes (B, C) divided by their sum over channels; NaN where that is 0."""
    return sizes / sizes.sum(1, keepdim=True)
