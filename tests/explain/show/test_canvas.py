import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from auscult.explain.show import canvas

MEL = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 11025 / 700), 66)[1:-1] / 2595) - 1)
OCTAVES = 100 * 2.0 ** np.arange(8)


def named(frequencies: np.ndarray, height: float = 3.0) -> tuple[dict[str, float], Figure]:
    """Where which hertz are, and the figure, of so many inches."""
    figure = Figure((3, height))
    axes = figure.add_axes((0.2, 0, 0.8, 1))
    canvas.draw_relevance(axes, np.zeros((len(frequencies), 4)), canvas.cells(len(frequencies), np.arange(4)), 1.0)
    canvas.name_rows(axes, frequencies)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(labels, axes.get_yticks().tolist(), strict=True)), figure


def test_hertz_lie_between_the_rows_they_lie_between():
    places, _ = named(OCTAVES)
    assert places["100"] == 0 and places["200"] == 1
    assert places["500"] == pytest.approx(2.25) and places["1k"] == pytest.approx(3.25)
    assert places["5k"] == pytest.approx(5 + 1800 / 3200) and "20k" not in places


def test_even_rows_have_even_steps():
    places, _ = named(np.arange(227) * 8000 / 455)
    assert list(places) == ["0", "1k", "2k", "3k"]
    assert np.diff(list(places.values())) == pytest.approx([455 / 8] * 3)
    assert list(named(np.linspace(0, 4000, 229))[0]) == ["0", "1k", "2k", "3k", "4k"]


@pytest.mark.parametrize("height", [0.3, 0.6, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("frequencies", [MEL, OCTAVES, np.linspace(0, 3973, 227), np.geomspace(30, 10000, 84)])
def test_names_of_rows_do_not_overlap(height, frequencies):
    places, figure = named(frequencies, height)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [label.get_window_extent(renderer) for label in figure.axes[0].get_yticklabels()]
    boxes.sort(key=lambda box: box.y0)
    assert places and all(below.y1 < above.y0 for below, above in itertools.pairwise(boxes))
    assert height < 1 or len(places) >= 3


@pytest.mark.parametrize("frequencies", [[440.0], [440.0, 450.0, 465.0], [0.0, 11.0, 30.0]])
def test_few_and_narrow_rows_can_be_named(frequencies):
    places, _ = named(np.array(frequencies))
    assert all(0 <= place < len(frequencies) for place in places.values())
    assert len(places) > 1 or len(frequencies) == 1
