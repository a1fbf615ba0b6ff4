"""Does the relevance change when it should, and stay when it should? Of some clips, as each check explains anew.

    sanity        the network's layers lose what they learnt, one after the other from the last to the first (cascading
                  randomisation, Adebayo et al., arXiv 1810.03292): relevance that stays the same is not of what
                  the network learnt
    robustness    the clip is shifted by a little, made softer, or mixed with faint noise: relevance is to follow the
                  shift, and otherwise to stay as it is

All are `metrics.similarity` to the clip's relevance, for the same class.
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
from auscult.explain.measures.intervals import DIFFERENCE
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Row, Run, Topic
from auscult.explain.measures.metrics import similarity
from auscult.modules.model import Model

RESEMBLE = "how much does relevance resemble (rank correlation) that of"
SANITY = Topic("sanity", f"{RESEMBLE} the network without what its layers learnt?", 5)
ROBUSTNESS = Topic("robustness", f"{RESEMBLE} the clip after a small change?", 6)
FAILS_ABOVE = 0.5  # with all layers: relevance is then that of a network that knows nothing
CASCADE = "cascade"
SHIFT_SECONDS = 0.01  # at least, to the next column
GAIN_DB = -6.0
NOISE_DB = -30.0  # root mean square, relative to the clip's


class Stability(Measurement):
    """The checks of one run, and how similar relevance is after each layer, `cascade`, for a figure.

    Args:
        model: the trained one, within the domain's.
        domain: where relevance is looked at.
        attribution: the method.
        clips: how many of all N to check, spread evenly over them.
        total: N.
    """

    measures = (
        Measure(SANITY, "last_layer", "without what the last layer learnt", Better.NEAR_ZERO, DIFFERENCE),
        Measure(SANITY, "all_layers", f"without what all layers learnt; above {FAILS_ABOVE:g} an attribution fails",
                Better.NEAR_ZERO, DIFFERENCE, fails_above=FAILS_ABOVE),
        Measure(ROBUSTNESS, "shift", "shifted in time, which relevance is to follow", Better.HIGHER, DIFFERENCE),
        Measure(ROBUSTNESS, "gain", "made softer", Better.HIGHER, DIFFERENCE),
        Measure(ROBUSTNESS, "noise", "mixed with faint noise", Better.HIGHER, DIFFERENCE),
    )  # fmt: skip

    def __init__(self, model: Model, domain: Domain, attribution: Attribution, clips: int, total: int) -> None:
        self.network, self.domain, self.attribution = model.network, domain, attribution
        self.sample_rate = model.sample_rate
        self.rows = np.unique(np.linspace(0, total - 1, min(clips, total)).round().astype(int))
        self.layers = len(layers_of(self.network))
        front_end = domain.model.front_end
        self.step: float | None = 1 / self.sample_rate  # seconds from one feature to the next of the last axis
        if front_end.times is not None:
            self.step = float(front_end.times[1] - front_end.times[0])
        elif front_end.frequencies is not None:
            self.step = None  # the whole clip's: they do not move with it

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """That of a run that checks some clips."""
        checked = run.config["checks"]
        return cls(run.model, run.domain, run.attribution, checked, len(run.source.clips)) if checked else None

    @property
    def columns(self) -> dict[str, Row]:
        return super().columns | {CASCADE: np.dtype((np.float32, (self.layers,)))}

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        """Values (B,) of each name, NaN for clips that are not checked, and `cascade`, (B, layers)."""
        relevance, count = clips.explained.relevance, len(clips.rows)
        chosen = torch.from_numpy(np.isin(clips.rows, self.rows)).to(relevance.device)
        cascade = relevance.new_full((count, self.layers), torch.nan)
        shift, gain, noise = relevance.new_full((3, count), torch.nan).unbind()
        if chosen.any():
            heard, known, asked = clips.waveform[chosen], relevance[chosen], clips.explained.target[chosen]
            for column in cascading(self.network):
                cascade[chosen, column] = similarity(known, self._relevance(heard, asked))
            shifted, columns = self._shifted(heard)
            moved = self._relevance(shifted, asked)
            kept = known.shape[-1] - columns  # of the last axis; the rest has come in at the other end
            shift[chosen] = similarity(known[..., :kept], moved[..., columns:])
            softer = heard * 10 ** (GAIN_DB / 20)
            gain[chosen] = similarity(known, self._relevance(softer, asked))
            noise[chosen] = similarity(known, self._relevance(noisy(heard, clips.clip[chosen]), asked))
        values = (cascade[:, 0], cascade[:, -1], shift, gain, noise)
        return {**dict(zip(self.names, values, strict=True)), CASCADE: cascade}

    def _relevance(self, waveform: Tensor, target: Tensor) -> Tensor:
        return explain(self.domain, self.attribution, waveform, target).relevance

    def _shifted(self, waveform: Tensor) -> tuple[Tensor, int]:
        """The waveforms later, turned around their ends, and by how many columns of the last axis."""
        columns = 0 if self.step is None else max(1, math.ceil(SHIFT_SECONDS / self.step - 1e-6))
        seconds = SHIFT_SECONDS if self.step is None else columns * self.step
        return waveform.roll(round(seconds * self.sample_rate), -1), columns


def layers_of(network: nn.Module) -> list[nn.Module]:
    """Modules that have weights of their own, in the order of their registration."""
    return [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]


def cascading(network: nn.Module, seed: int = 0) -> Iterator[int]:
    """Yields after each layer, from the last to the first, that lost what it learnt; at the end all have it back.

    A layer's weights change places by chance. They are not drawn anew: how large they are is as it was, so that
    signals neither die out nor explode on their way, and it takes no word of the network's on how it was initialised.
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
    """White noise added to waveforms (B, 1, T) where they are not digital silence, by the clips' numbers (B,)."""
    draws = [np.random.default_rng((0, number)).standard_normal(waveform.shape[1:]) for number in clip.tolist()]
    sounding = waveform != 0
    power = waveform.square().sum(-1, keepdim=True) / sounding.sum(-1, keepdim=True).clamp(min=1)  # (B, 1, 1)
    noise = torch.from_numpy(np.stack(draws)).to(waveform) * sounding
    return waveform + 10 ** (NOISE_DB / 20) * power.sqrt() * noise
