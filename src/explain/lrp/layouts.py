"""Where the clips of a batch lie in a tensor, as the values for a batch with a pattern show."""

from torch import Tensor

from auscult.explain.lrp.node import Layout

PATTERN = (0, 1, 0, 1, 1)  # two different clips; hardly anything else in a tensor repeats in this way
CLIPS = len(PATTERN)
CLOSE = 1e-4  # two outputs are equal, if they differ by this much of the largest value


def layout_of(output: Tensor) -> Layout | None:
    """Where clips lie in an output for clips as in `PATTERN`; None if no dimension can hold them."""
    sizes = [dimension for dimension, size in enumerate(output.shape) if size % CLIPS == 0]
    if not output.numel():
        return None
    scale = CLOSE * output.abs().max()
    possible = None  # where clips may lie if they cannot be told apart, as behind a ReLU that lets nothing pass
    for dimension in sizes:
        rows = output.movedim(dimension, 0)
        for whole in (True, False):
            clips = rows.unflatten(0, (CLIPS, -1) if whole else (-1, CLIPS))
            parts = clips.unbind(0 if whole else 1)
            first, second = parts[0], parts[1]
            alike = all(
                (part - (first, second)[number]).abs().max() <= scale
                for part, number in zip(parts, PATTERN, strict=True)
            )
            if alike and (first - second).abs().max() > scale:
                return Layout(dimension, whole)
            if alike and possible is None:
                possible = Layout(dimension, whole)
    return possible


def layout_as_given(output: Tensor, clips: int) -> Layout | None:
    """Where so many clips lie in an output: in its first dimension, if only that has their number; else None."""
    return (
        Layout(0, whole=True)
        if [size for size in output.shape if size == clips] == [clips] == [*output.shape[:1]]
        else None
    )
