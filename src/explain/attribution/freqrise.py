"""Relevance of frequencies from the scores of a class when random bands are kept, as FreqRISE was published."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from auscult.explain.attribution.base import Attribution, explaining
from auscult.explain.attribution.options import FREQUENCIES_ONLY, check_option
from auscult.mistake import Mistake

SCORES = ("logit", "probability")


class FreqRISE(Attribution):
    """FreqRISE's own estimate: the mean of the score times the mask, over random masks of the coefficients.

    R = 1 / (N p) sum_n f_c(x m_n) m_n over N masks m_n, after Brüsch et al., "FreqRISE: Explaining time series using
    frequency masking", arXiv 2406.13584. Unlike `RISE`, it does not divide by how much the masks kept of each
    coefficient. A coefficient that chance kept more often is therefore more relevant, and the order of coefficients
    differs from that of `RISE`. As in the authors' code (github.com/theabrusch/FreqRISE), each clip's relevance is then
    scaled to the range from 0 to 1. This keeps the order, and no relevance speaks against a class.

    Taken from their code: 3000 masks of 200 cells in each dimension, each kept with probability 0.5, interpolated
    linearly to the coefficients, reflected at the edges and shifted by up to half as many coefficients as there are
    cells; the score, which is the logit of the class in their last script and its probability in their first. Their
    short-time transform has windows of 455 samples with hops of 35: domain.window_seconds=0.0569
    domain.hop_seconds=0.0044. Two things differ. Here all clips get the same masks; there each clip gets its own. If a
    transform has fewer frames or frequencies than cells, here each of them is one cell; their code cannot mask it.

    Args:
        masks: number of masks; each is a forward pass for every clip.
        cells: number of cells of a mask, in each dimension.
        keep: probability that a cell is kept.
        score: what is averaged for the class, "logit" or "probability".
        seed: seed of the masks.
    """

    asks_logits_only = True

    def __init__(
        self, masks: int = 3000, cells: int = 200, keep: float = 0.5, score: str = "logit", seed: int = 0
    ) -> None:
        check_option("masks", masks)
        check_option("cells", cells)
        check_option("keep", keep)
        if keep == 0:
            raise Mistake(f"attribution.keep={keep} must be above 0.")
        if score not in SCORES:
            raise Mistake(f"attribution.score={score} is unknown; choose {' or '.join(SCORES)}.")
        check_option("seed", seed)
        self.masks, self.cells, self.keep, self.score, self.seed = masks, cells, keep, score, seed
        self.compares_classes = score == "probability"

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        """See `Attribution`. The input is (B, C, ...) complex, a Fourier or short-time Fourier transform.

        Raises:
            Mistake: the input is not complex.
        """
        if not input.is_complex():
            raise Mistake(FREQUENCIES_ONLY)
        with explaining(network, input, target) as (input, target), torch.no_grad():
            total = torch.zeros_like(input.real)
            for mask in self.draw(*input.shape[1:]):
                outputs = network(input * mask.to(input.real))  # (B, C)
                scores = outputs.softmax(1) if self.score == "probability" else outputs
                score = scores.gather(1, target[:, None]).view(-1, *[1] * (input.dim() - 1))
                total += score * mask.to(input.real)
            return from_0_to_1(total / (self.masks * self.keep))

    def draw(self, channels: int, *sizes: int) -> Iterator[Tensor]:
        """Yields masks (1, C, ...) float32 of these sizes."""
        cells = [min(self.cells, size) for size in sizes]
        edges = [min(self.cells // 2, size - 1) for size in sizes]  # values that are reflected at each end
        generator = torch.Generator().manual_seed(self.seed)
        mode = "linear" if len(sizes) == 1 else "bilinear"
        for _ in range(self.masks):
            grid = (torch.rand(1, channels, *cells, generator=generator) < self.keep).float()
            mask = interpolate(grid, size=tuple(sizes), mode=mode, align_corners=False)
            mask = pad(mask, [edge for edge in reversed(edges) for _ in range(2)], mode="reflect")
            for dimension, (size, edge) in enumerate(zip(sizes, edges, strict=True), start=2):
                shifts = max(1, min(self.cells, 2 * edge))
                mask = mask.narrow(dimension, int(torch.randint(shifts, (), generator=generator)), size)
            yield mask


def from_0_to_1(relevance: Tensor) -> Tensor:
    """Scales the relevance (B, ...) of each clip to the range from 0 to 1; constant relevance becomes 0."""
    inner = tuple(range(1, relevance.dim()))
    low, high = relevance.amin(inner, keepdim=True), relevance.amax(inner, keepdim=True)  # (B, 1, ...)
    return (relevance - low) / (high - low).clamp(min=torch.finfo(relevance.dtype).tiny)
