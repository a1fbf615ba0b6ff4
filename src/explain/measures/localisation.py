"""Does relevance lie in the cues of synthetic clips, or in a planted confound? Their places are known."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.source import Source
from auscult.datamodules.synthetic import Cue
from auscult.explain.domain.domains import Domain
from auscult.explain.measures import metrics
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic

LOCALISATION = Topic("localisation", "does relevance lie in the cues of synthetic clips, or in a planted confound?", 3)
CUES = ("harmonic", "formant", "frication")  # beginnings of the names of cues in synthetic clips
CONFOUND = "confound"
FORMULAS = {
    "mass": metrics.mass_accuracy,
    "rank": metrics.rank_accuracy,
    "pointing": metrics.pointing_game,
    "chance": metrics.chance,
}


class Localisation(Measurement):
    """Measures how much relevance lies in each known place. A column is named `localisation/mass/confound`.

    The places of cues are known if the corpus describes them and relevance has axes of time and frequency. The place of
    a planted confound is known in the clips that have it. These numbers do not say which cue a network should use.

    Args:
        domain: where relevance is looked at.
        source: the clips.
    """

    measures = (
        Measure(LOCALISATION, "mass", "the share of the positive relevance that lies there", Better.HIGHER,
                title="Positive relevance there"),
        Measure(LOCALISATION, "rank", "the share of the most relevant features, as many as the place has, that lie"
                " there", Better.HIGHER, title="Most relevant features there"),
        Measure(LOCALISATION, "pointing", "the share of clips whose most relevant feature lies there", Better.HIGHER,
                title="Peak of relevance there"),
        Measure(LOCALISATION, "chance", "the value that relevance in random places would have for each of the others",
                Better.COMPARE, title="By chance there"),
    )  # fmt: skip

    def __init__(self, domain: Domain, source: Source) -> None:
        self.source, self.sample_rate = source, domain.model.sample_rate
        front_end = domain.model.front_end
        self.resolution = self.sample_rate / front_end.window if front_end.spreads else 0.0  # hertz
        axes = (front_end.frequencies, front_end.times)
        self.axes: list[Any] = [axis.cpu().numpy() for axis in axes if axis is not None]
        self.places = self._places()
        self.latest: tuple[tuple[int, ...], dict[str, Tensor]] = ((), {})  # row numbers, and their masks

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The localisation of a run; None if no place is known."""
        made = cls(run.domain, run.source)
        return made if made.places else None

    @property
    def names(self) -> list[str]:
        """See `Measurement.names`; one column per place and measure."""
        return [f"{measure.column}/{place}" for place in self.places for measure in self.measures]

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        return self.locate(clips.explained.relevance, clips.rows)

    def locate(self, relevance: Tensor, rows: np.ndarray) -> dict[str, Tensor]:
        """Values (B,) by name, for relevance (B, ...) of the clips in rows (B,)."""
        values: dict[str, Tensor] = {}
        for place, mask in self._masks(rows, tuple(relevance.shape[1:])).items():
            inside = mask.to(relevance.device)
            values |= {f"localisation/{name}/{place}": ask(relevance, inside) for name, ask in FORMULAS.items()}
        return values

    def _places(self) -> list[str]:
        confound = self.source.dataset.confound
        places: list[str] = []
        if self.source.cues is not None and len(self.axes) == 2 and not is_moved(self.source.dataset):
            places += CUES
        if confound is not None and (not self.axes or len(self.axes[0]) > 1):
            places.append(CONFOUND)
        return places

    def _masks(self, rows: np.ndarray, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Which features lie in each place, (B, *shape) bool. Kept for the control, which needs the same masks."""
        row_numbers = tuple(rows.tolist())
        if self.latest[0] != row_numbers:
            each_clip = [self._masks_of(row, shape[1:]) for row in row_numbers]
            stacked = {place: np.stack([masks[place] for masks in each_clip]) for place in self.places}
            self.latest = (
                row_numbers,
                {place: torch.from_numpy(masks)[:, None].expand(-1, *shape) for place, masks in stacked.items()},
            )
        return self.latest[1]

    def _masks_of(self, row: int, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Which features of a clip's channels lie in each place, (*shape) bool; none if the clip has no such place."""
        dataset, masks = self.source.dataset, {}
        if CUES[0] in self.places:
            assert self.source.cues is not None
            cues, begins = self.source.cues(self.source.clips[row]), beginning(dataset, row, self.sample_rate)
            for place in CUES:
                masks[place] = cue_mask([cue for cue in cues if cue.name.startswith(place)], begins, *self.axes)
        if CONFOUND in self.places:
            masks[CONFOUND] = np.zeros(shape, bool)
            if dataset.planted[row]:
                assert dataset.confound is not None
                mask = dataset.confound.region(dataset.length).mask(*self.axes, resolution=self.resolution)
                masks[CONFOUND] = mask & ~mask.all()  # a hum fills all features: it has no place
        return masks


def is_moved(dataset: ClipDataset) -> bool:
    """Whether a planted confound moves clips, so that their sounds are not where their corpus says."""
    return dataset.confound is not None and dataset.confound.kind == "lead_in"


def beginning(dataset: ClipDataset, row: int, sample_rate: int) -> float:
    """When a clip begins in its recording, in seconds; negative if silence precedes the recording.

    Args:
        dataset: the data set of the clips.
        row: row of the clip.
        sample_rate: sample rate of the clips, in hertz.
    """
    clip = dataset.clips[row]
    offset = round(dataset.places()[row] * (dataset.length - int(dataset.cache.lengths[clip])))
    return (int(dataset.cache.starts[clip]) - offset) / sample_rate


def cue_mask(cues: Sequence[Cue], begins: float, frequencies: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which coefficients lie in any of the cues, (F, N) bool.

    Args:
        cues: cues of one recording.
        begins: see `beginning`.
        frequencies: (F,) in hertz.
        times: (N,) in seconds from the start of the clip.
    """
    mask = np.zeros((len(frequencies), len(times)), bool)
    for cue in cues:
        step = float(cue.seconds[1] - cue.seconds[0])
        frame = np.rint((times + begins - cue.seconds[0]) / step).astype(int)  # the nearest frame, (N,)
        inside = (frame >= 0) & (frame < len(cue.seconds))
        low, high = (
            np.where(inside, bound[frame.clip(0, len(bound) - 1)], np.nan) for bound in (cue.low_hz, cue.high_hz)
        )
        mask |= (frequencies[:, None] >= low) & (frequencies[:, None] <= high)  # comparisons with NaN are false
    return mask
