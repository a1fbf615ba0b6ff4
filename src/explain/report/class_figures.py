"""Figures of class averages for print: all classes at a glance, and each class by itself.

`class_plates` draws them for the page.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from auscult.drawing import literal
from auscult.explain.report.class_averages import ClassAverages
from auscult.explain.show import canvas
from auscult.explain.show.canvas import Extent, cells, name_rows, new_figure

ACROSS = 5  # classes in a row
VERDICTS = ("right", "wrong")
BAR_INCHES = 2.0
WIDE_BAR = (1.035, 0, 0.045, 1)  # a colour bar beside one of three panels


def plot_class_averages(averages: ClassAverages, classes: Sequence[str]) -> Figure:
    """Draws the mean relevance of each class, for recognised clips and, below, for wrong ones.

    Relevance of spectrograms is drawn over the mean input. Each panel has its own scale, so that the thin relevance of
    rain is visible as well as that of a bark.

    Args:
        averages: averages of C classes.
        classes: names of the classes.
    """
    across, down = min(len(classes), ACROSS), -(-len(classes) // ACROSS)
    height = 0.75 + 2.7 * down  # inches
    figure = new_figure("", height)
    figure.subplots_adjust(wspace=0.08, hspace=0.22, top=1 - 0.05 / height)
    grid = figure.subplots(3 * down, across, squeeze=False, height_ratios=(0.2, 1, 1) * down)
    panels: Any = grid.reshape(down, 3, across).swapaxes(1, 2).reshape(-1, 3)  # (C or more, 3): name, right, wrong
    for number, wrongly in np.ndindex(averages.clips.shape):
        axes, group = panels[number, 1 + wrongly], (number, wrongly)
        if averages.clips[group]:
            draw_shown(axes, averages, group)
            draw_relevant(axes, averages, group, relative=True)
        else:
            draw_none(axes, averages)
        axes.set_title(f"{averages.clips[group]} {VERDICTS[wrongly]}", loc="left", fontsize=8, pad=2)
        is_lowest = bool(wrongly) and number + across >= len(classes)
        draw_ticks(axes, averages, left=number % across == 0, bottom=is_lowest)
    for axes, name in zip(panels[:, 0], classes, strict=False):
        name = literal(name, canvas.MOST_CHARACTERS // across)
        axes.text(0, 0, name, transform=axes.transAxes, fontsize=9, fontweight="bold", parse_math=False)
    for axes in (*panels[:, 0], *panels[len(classes) :, 1:].flat):
        axes.set_axis_off()
    name_axes(figure, averages)
    colours = ScalarMappable(Normalize(-1, 1), canvas.RELEVANCE_MAP)
    top = panels[0, 1].get_position().y1
    place = figure.add_axes((canvas.RIGHT + 0.01, top - BAR_INCHES / height, 0.013, BAR_INCHES / height))
    canvas.colour_bar(place, colours, "relevance, scaled in each panel,", averages.unit)
    return figure


def plot_class(averages: ClassAverages, label: int) -> Figure:
    """Draws one class of spectrograms: the mean input, the mean relevance, and both.

    Args:
        averages: averages of all classes.
        label: the class.
    """
    figure = new_figure("", height=5.2)
    grid = figure.subplots(2, 3)
    figure.subplots_adjust(wspace=0.06, hspace=0.2, top=1 - 0.3 / 5.2)
    for wrongly, (shown, relevant, both) in enumerate(grid):
        group = label, wrongly
        for axes, text in ((shown, "mean of the clips"), (relevant, "relevance"), (both, "both")):
            axes.set_title(f"{averages.clips[group]} {VERDICTS[wrongly]}: {text}", loc="left", fontsize=8, pad=3)
        if averages.clips[group]:
            draw_shown(shown, averages, group)
            draw_relevant(relevant, averages, group)
            draw_shown(both, averages, group)
            colours = draw_relevant(both, averages, group)
            canvas.colour_bar(both.inset_axes(WIDE_BAR), colours, "share of relevance", averages.unit)
        for axes in (shown, relevant, both):
            if not averages.clips[group]:
                draw_none(axes, averages)
            draw_ticks(axes, averages, left=axes is shown, bottom=bool(wrongly))
    name_axes(figure, averages)
    return figure


def draw_none(axes: Axes, averages: ClassAverages) -> None:
    """Draws an empty panel: there are no clips to average."""
    left, right, bottom, top = extent_of(averages)
    axes.set(xlim=(left, right), ylim=(bottom, top), facecolor="0.95")
    axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", fontsize=9, color="0.35")


def draw_shown(axes: Axes, averages: ClassAverages, group: tuple[int, int]) -> None:
    """Draws the mean spectrogram, on one scale for all classes; nothing for waveforms."""
    if averages.spectrogram is not None:
        canvas.draw_grey(axes, averages.spectrogram[group], extent_of(averages), *averages.levels)


def draw_relevant(axes: Axes, averages: ClassAverages, group: tuple[int, int], relative: bool = False) -> AxesImage:
    """Draws the mean relevance, smoothed; with `relative`, divided by the limit of its colours."""
    seen, limit = averages.seen(group)
    scale = limit if relative else 1.0
    return canvas.draw_relevance(axes, seen / scale, extent_of(averages), limit / scale)


def extent_of(averages: ClassAverages) -> Extent:
    """The extent of a panel: seconds or hertz from left to right, row numbers from bottom to top."""
    return cells(1 if averages.frequencies is None else len(averages.frequencies), averages.places)


def draw_ticks(axes: Axes, averages: ClassAverages, left: bool, bottom: bool) -> None:
    """Labels the outer axes of a grid. `sharex` and `sharey` would take a minute with 150 axes."""
    axes.tick_params(labelsize=8)
    if left and averages.frequencies is not None:
        name_rows(axes, averages.frequencies)
    else:
        axes.set_yticks([])
    if not bottom:
        axes.set_xticks([])
    elif averages.unit == "Hz":  # labels of neighbours would overlap
        axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))


def name_axes(figure: Figure, averages: ClassAverages) -> None:
    """Names the axes of the whole figure."""
    if averages.frequencies is not None:
        figure.supylabel("hertz", fontsize=10, x=0.01)
    along = "hertz" if averages.unit == "Hz" else "seconds from the onset"
    figure.supxlabel(along, fontsize=10, y=0.1 / figure.get_figheight(), va="bottom")
