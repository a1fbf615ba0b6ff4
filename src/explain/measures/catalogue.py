"""What is measured of each clip's relevance, beside the curves: names and values, as files and tables have them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from auscult.datamodules.source import Source
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import Explained
from auscult.explain.measures import metrics
from auscult.explain.measures.intervals import DIFFERENCE, SHARE, Bounds
from auscult.explain.measures.localisation import beginning, cue_mask

COST = ("cost/passes", "cost/milliseconds", "cost/megabytes")  # which the explainer tells
COMPLEXITY = {"complexity/entropy": metrics.entropy, "complexity/gini": metrics.gini}
FAITHFULNESS = ("increase", "drop", "gain", "faithfulness", "fidelity_in")  # of `metrics.masked`
LOCALISATION = {
    "mass": metrics.mass_accuracy,
    "rank": metrics.rank_accuracy,
    "pointing": metrics.pointing_game,
    "chance": metrics.chance,
}
UNBOUNDED = ("complexity/entropy", "cost/")  # how names begin of measures that can have any value
SIGNED = ("faithfulness/faithfulness", "robustness/", "sanity/", "control/similarity")  # of those from -1 to 1
CUES = ("harmonic", "formant", "frication")  # how the names of synthetic clips' cues begin


def bounds_of(name: str) -> Bounds:
    """The lowest and highest value that a measure can have of a clip."""
    if name.startswith(UNBOUNDED):
        return None
    return DIFFERENCE if name.startswith(SIGNED) else SHARE


class Measures:
    """The measures that apply to a run, each a value per clip; see `metrics` for what they are.

    - cost per clip, as the time that a forward pass of the same batch takes, in milliseconds, and in megabytes.
    - complexity of any relevance.
    - faithfulness of relevance for the predicted class: what the network makes of the relevant part alone.
    - localisation in cues, where the corpus knows them and relevance lies in time and frequency, and in a planted
      confound, of the clips that carry it. Which cue a network ought to listen to is not for these numbers to say.
      `chance` is what relevance without a place would have of each.

    Args:
        domain: where relevance is looked at.
        source: the clips.
        target: of the question.
    """

    def __init__(self, domain: Domain, source: Source, target: int | str) -> None:
        self.domain, self.source = domain, source
        self.predicted = target == "predicted"
        front_end = domain.model.front_end
        self.axes = [axis.cpu().numpy() for axis in (front_end.frequencies, front_end.times) if axis is not None]
        self.places = self._places()
        self.names = [*COST, *COMPLEXITY]
        if self.predicted:
            self.names += [f"faithfulness/{name}" for name in FAITHFULNESS]
        self.localisation = [f"localisation/{name}/{place}" for place in self.places for name in LOCALISATION]
        self.names += self.localisation

    def _places(self) -> list[str]:
        """Where relevance may be found to lie."""
        confound = self.source.dataset.confound
        found: list[str] = []
        moved = confound is not None and confound.kind == "lead_in"  # from where the corpus knows its cues to be
        if self.source.cues is not None and len(self.axes) == 2 and not moved:
            found += CUES
        steps = np.diff(self.axes[0]) if self.axes else np.ones(1)
        if confound is not None and np.allclose(steps, steps[0]):  # of other rows its region is not known
            found.append("confound")
        return found

    def __call__(self, explained: Explained, rows: np.ndarray) -> dict[str, Tensor]:
        """Values (B,) of each name but those of cost.

        Args:
            explained: B clips.
            rows: (B,) of the source's clips.
        """
        model, input, relevance = self.domain.model, explained.input, explained.relevance
        measured = {name: measure(relevance) for name, measure in COMPLEXITY.items()}
        if self.predicted:
            silence = model.silence(self.source.dataset.length)
            values = metrics.masked(model.network, input, relevance, silence, explained.logits)
            measured |= {f"faithfulness/{name}": values[name] for name in FAITHFULNESS}
        return measured | self.localise(relevance, rows)

    def localise(self, relevance: Tensor, rows: np.ndarray) -> dict[str, Tensor]:
        """Values (B,) of localisation, of relevance (B, ...)."""
        found: dict[str, Tensor] = {}
        for place in self.places:
            masks = np.stack([self._mask(int(row), place, relevance.shape[2:]) for row in rows])
            mask = torch.from_numpy(masks)[:, None].to(relevance.device)  # (B, 1, ...)
            found |= {f"localisation/{name}/{place}": ask(relevance, mask) for name, ask in LOCALISATION.items()}
        return found

    def _mask(self, row: int, place: str, shape: Sequence[int]) -> np.ndarray:
        """Which features of a clip lie at a place, bool of the relevance's shape; none where the clip has none."""
        dataset = self.source.dataset
        if place == "confound":
            if not dataset.planted[row]:
                return np.zeros(tuple(shape), bool)
            assert dataset.confound is not None
            mask = dataset.confound.region(dataset.length).mask(*self.axes)
            return mask & ~mask.all()  # a hum fills all the time: there is nothing to find
        assert self.source.cues is not None
        cues = [cue for cue in self.source.cues(self.source.clips[row]) if cue.name.startswith(place)]
        return cue_mask(cues, beginning(dataset, row, self.domain.model.sample_rate), *self.axes)
