"""Class averages as a page draws them, see `auscult.explain.show.plate`; `class_figures` draws them for print."""

from auscult.explain.report.class_averages import ClassAverages
from auscult.explain.show.canvas import edges
from auscult.explain.show.plate import Layer, Panel, Plate, coloured, fitting, greyed, row_ticks, ticks

MOST = (120, 160)  # rows and columns: a page may have a hundred of these pictures, which are smooth


def class_plate(averages: ClassAverages, group: tuple[int, int], name: str) -> Plate:
    """The mean relevance of a group of clips, over their mean spectrogram if relevance has frequencies and times.

    Args:
        averages: averages of C classes.
        group: the class, and 0 for right predictions or 1 for wrong ones.
        name: name of the class.
    """
    seen, limit = averages.seen(group)
    relevance = Layer(coloured(fitting(seen, MOST) / limit))
    if averages.spectrogram is not None and averages.frequencies is not None:
        low, high = averages.levels
        grey = Layer(greyed((fitting(averages.spectrogram[group], MOST) - low) / ((high - low) or 1.0)))
        panel = Panel(relevance, grey, ticks=row_ticks(averages.frequencies))
    else:
        panel = Panel(relevance)
    axis = "Hz" if averages.unit == "Hz" else "s"
    alt = f"Mean relevance of clips of {name} that were {('recognised', 'mistaken')[group[1]]}"
    return Plate((panel,), ticks(*edges(averages.places)), axis, alt)
