"""Relevance from the probability of a class when random parts of the input are kept. Needs logits only."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from auscult.explain.attribution.base import Attribution, baseline_of, explaining
from auscult.explain.attribution.occlusion import per_dimension
from auscult.explain.attribution.options import check_option
from auscult.mistake import Mistake


class RISE(Attribution):
    """The mean probability of the class over random masks that keep a value, minus the mean over all masks.

    After Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", arXiv 1806.07421. The
    mean of a value is weighted by how much each mask keeps of it; `FreqRISE`, which masks frequencies, does not divide
    by these weights. A mask is a grid of cells, each kept with the probability `keep`, shifted by a random part of a
    cell and interpolated linearly in between. The paper does not subtract the mean over all masks. To subtract it
    keeps the order of a clip's values and gives relevance a sign.

    All clips get the same masks, and each channel has one of its own. Each mask costs one forward pass; with more
    masks, chance matters less.

    Args:
        masks: number of masks.
        cells: number of cells of the grid, for each dimension but batch and channel, or one number for all.
        keep: probability that a cell is kept, between 0 and 1.
        baseline: the value where a mask is 0; None: what the front end makes of silence.
        seed: seed of the masks.
    """

    asks_logits_only = starts_from_silence = compares_classes = True

    def __init__(
        self,
        masks: int = 1000,
        cells: int | Sequence[int] = 25,
        keep: float = 0.5,
        baseline: float | None = None,
        seed: int = 0,
    ) -> None:
        check_option("masks", masks)
        check_option("cells", cells, several=True)
        check_option("keep", keep)
        if not 0 < keep < 1:
            raise Mistake(f"attribution.keep={keep} must be above 0 and below 1.")
        check_option("baseline", baseline)
        check_option("seed", seed)
        self.masks, self.cells, self.keep, self.baseline, self.seed = masks, cells, keep, baseline, seed

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor | None = None) -> Tensor:
        with explaining(network, input, target) as (input, target), torch.no_grad():
            hiding = baseline_of(self.baseline, silence, input)
            total, kept, scores = torch.zeros_like(input.real), torch.zeros_like(input[:1].real), 0.0
            for mask in self._draw(*input.shape[1:], like=input.real):
                masked = hiding + mask * (input - hiding)
                score = network(masked).softmax(1).gather(1, target[:, None])  # (B, 1)
                score = score.view(-1, *[1] * (input.dim() - 1))
                total, kept, scores = total + score * mask, kept + mask, scores + score
            return total / kept.clamp(min=torch.finfo(kept.dtype).tiny) - scores / self.masks

    def _draw(self, channels: int, *sizes: int, like: Tensor) -> Iterator[Tensor]:
        """Yields masks (1, C, ...) of these sizes."""
        cells = per_dimension(self.cells, len(sizes))
        if len(cells) != len(sizes):
            raise Mistake(f"attribution.cells={self.cells} names {len(cells)} dimensions; the input has {len(sizes)}.")
        counts = [min(int(count), size) for count, size in zip(cells, sizes, strict=True)]
        widths = [-(-size // count) for count, size in zip(counts, sizes, strict=True)]
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.masks):
            grid = torch.rand(1, channels, *(count + 1 for count in counts), generator=generator) < self.keep
            whole = [(count + 1) * width for count, width in zip(counts, widths, strict=True)]
            mode = "linear" if len(sizes) == 1 else "bilinear"
            mask = interpolate(grid.float(), size=whole, mode=mode, align_corners=False)
            shifts = [int(torch.randint(width, (), generator=generator)) for width in widths]
            for dimension, (shift, size) in enumerate(zip(shifts, sizes, strict=True), start=2):
                mask = mask.narrow(dimension, shift, size)
            yield mask.to(like)
