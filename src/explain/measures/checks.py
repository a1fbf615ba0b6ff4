"""Does relevance change when it should, and stay when it should? Checks some clips, as each check explains them again.

    sanity        The layers of the network lose what they learnt, one by one from the last to the first (cascading
                  randomisation, Adebayo et al., arXiv 1810.03292). Relevance that stays the same does not show what
                  the network learnt.
    robustness    The clip is shifted a little, made softer, or mixed with faint noise. Relevance should follow the
                  shift, and otherwise stay the same.

Each check is the `metrics.similarity` to the original relevance of the clip, for the same class.
"""

import math
from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Row, Run, Topic
from auscult.explain.measures.metrics import similarity
from auscult.intervals import DIFFERENCE
from auscult.modules.model import Model

SIMILAR = "how similar (rank correlation) is relevance to that of"
SANITY = Topic("sanity", f"{SIMILAR} a network whose layers have lost what they learnt?", 5)
ROBUSTNESS = Topic("robustness", f"{SIMILAR} the clip after a small change?", 6)
FAILS_ABOVE = 0.5  # with all layers randomised: a network that knows nothing has nearly the same, or its negative
CASCADE = "cascade"
SHIFT_SECONDS = 0.01  # at least; rounded up to a column
GAIN_DB = -6.0
NOISE_DB = -30.0  # root mean square, relative to that of the clip


class Checks(Measurement):
    """The checks of one run. `cascade` has the similarity after each layer, for a figure.

    Args:
        model: the trained model.
        domain: where relevance is looked at.
        attribution: the method.
        clips: number of clips to check, spread evenly over all N.
        total: N.
    """

    measures = (
        Measure(SANITY, "last_layer", "without what the last layer learnt", Better.NEAR_ZERO, DIFFERENCE,
                title="Similarity without the last layer's learning"),
        Measure(SANITY, "all_layers", "without what all layers learnt",
                Better.NEAR_ZERO, DIFFERENCE, fails_above=FAILS_ABOVE, title="Similarity without all learning"),
        Measure(ROBUSTNESS, "shift", "shifted in time; relevance should follow", Better.HIGHER, DIFFERENCE,
                title="Follows a shift"),
        Measure(ROBUSTNESS, "gain", "made softer; always 1 if the front end ignores level", Better.HIGHER, DIFFERENCE,
                title="Stays when softer"),
        Measure(ROBUSTNESS, "noise", "mixed with faint noise", Better.HIGHER, DIFFERENCE, title="Stays in faint noise"),
    )  # fmt: skip

    def __init__(self, model: Model, domain: Domain, attribution: Attribution, clips: int, total: int) -> None:
        self.network, self.domain, self.attribution = model.network, domain, attribution
        self.sample_rate = model.sample_rate
        self.rows = np.unique(np.linspace(0, total - 1, min(clips, total)).round().astype(int))
        self.layers = len(layers_of(self.network))
        front_end = domain.model.front_end
        self.step: float | None = 1 / self.sample_rate  # seconds between features on the last axis
        if front_end.times is not None:
            self.step = float(front_end.times[1] - front_end.times[0])
        elif front_end.frequencies is not None:
            self.step = None  # frequencies of the whole clip do not move with it

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The checks of a run; None if it checks no clips."""
        checked = run.config["checks"]
        return cls(run.model, run.domain, run.attribution, checked, len(run.source.clips)) if checked else None

    @property
    def columns(self) -> dict[str, Row]:
        """See `Measurement.columns`."""
        return super().columns | {CASCADE: np.dtype((np.float32, (self.layers,)))}

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        """Values (B,) by name, NaN for clips that are not checked, and `cascade`, (B, layers)."""
        relevance, count = clips.explained.relevance, len(clips.rows)
        chosen = torch.from_numpy(np.isin(clips.rows, self.rows)).to(relevance.device)
        cascade = relevance.new_full((count, self.layers), torch.nan)
        shift, gain, noise = relevance.new_full((3, count), torch.nan).unbind()
        if chosen.any():
            heard, known, target = clips.waveform[chosen], relevance[chosen], clips.explained.target[chosen]
            for column in cascading(self.network):
                cascade[chosen, column] = similarity(known, self._relevance(heard, target))
            shifted, columns = self._shifted(heard)
            moved = self._relevance(shifted, target)
            kept = known.shape[-1] - columns  # columns; the others come from the other end
            shift[chosen] = similarity(known[..., :kept], moved[..., columns:])
            softer = heard * 10 ** (GAIN_DB / 20)
            gain[chosen] = similarity(known, self._relevance(softer, target))
            noise[chosen] = similarity(known, self._relevance(noisy(heard, clips.clip[chosen]), target))
        values = (cascade[:, 0], cascade[:, -1], shift, gain, noise)
        return {**dict(zip(self.names, values, strict=True)), CASCADE: cascade}

    def _relevance(self, waveform: Tensor, target: Tensor) -> Tensor:
        return explain(self.domain, self.attribution, waveform, target).relevance

    def _shifted(self, waveform: Tensor) -> tuple[Tensor, int]:
        """Shifts waveforms cyclically to later times. Also returns the shift in columns of the last axis."""
        columns = 0 if self.step is None else max(1, math.ceil(SHIFT_SECONDS / self.step - 1e-6))
        seconds = SHIFT_SECONDS if self.step is None else columns * self.step
        return waveform.roll(round(seconds * self.sample_rate), -1), columns


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The modules with their own weights, in the order of registration."""
    return [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]


def cascading(network: nn.Module, seed: int = 0) -> Iterator[int]:
    """Randomises the layers one by one, from the last to the first, and yields after each. At the end it restores all.

    The weights of a layer are permuted at random, not drawn anew. Their sizes stay the same, so that signals neither
    vanish nor explode, and the initialisation of the network need not be known.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = [(parameter, parameter.detach().clone()) for parameter in network.parameters()]
    try:
        for number, layer in enumerate(reversed(layers_of(network))):
            with torch.no_grad():
                for parameter in layer.parameters(recurse=False):
                    places = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                    parameter.copy_(parameter.flatten()[places].view_as(parameter))
            yield number
    finally:
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)


def noisy(waveform: Tensor, clip: Tensor) -> Tensor:
    """Adds white noise to waveforms (B, C, T) where they are not digital silence.

    Args:
        waveform: (B, C, T).
        clip: (B,) numbers of the clips, which seed the noise.
    """
    draws = [np.random.default_rng((0, number)).standard_normal(waveform.shape[1:]) for number in clip.tolist()]
    sounding = waveform != 0
    power = waveform.square().sum(-1, keepdim=True) / sounding.sum(-1, keepdim=True).clamp(min=1)  # (B, 1, 1)
    noise = torch.from_numpy(np.stack(draws)).to(waveform) * sounding
    return waveform + 10 ** (NOISE_DB / 20) * power.sqrt() * noise
