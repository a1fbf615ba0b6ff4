"""Controls: attributions that do not use the network. Other attributions are compared with them."""

import zlib

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, baseline_of, explaining
from auscult.explain.attribution.options import check_option


class Amplitude(Attribution):
    """Control: the distance of each value from silence, for any network.

    Args:
        baseline: the value of silence; None: what the front end makes of silence.
    """

    asks_logits_only = starts_from_silence = True

    def __init__(self, baseline: float | None = None) -> None:
        check_option("baseline", baseline)
        self.baseline = baseline

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, _):
            return (input - baseline_of(self.baseline, silence, input)).abs()


class Random(Attribution):
    """Control: Gaussian noise, for any network.

    Args:
        seed: a clip's noise follows from this seed and the values of the clip.
    """

    asks_logits_only = True

    def __init__(self, seed: int = 0) -> None:
        check_option("seed", seed)
        self.seed = seed

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, _):
            return torch.stack([self._draw(clip) for clip in input.cpu()]).to(input.device)

    def _draw(self, clip: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(clip.numpy().tobytes(), self.seed))
        return torch.randn(clip.shape, generator=generator, dtype=clip.real.dtype)
