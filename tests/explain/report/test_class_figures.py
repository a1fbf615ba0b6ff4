from dataclasses import replace

import matplotlib.text
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auscult.explain.report.class_averages import LEAD_SECONDS, ClassAverages
from auscult.explain.report.class_figures import plot_class, plot_class_averages
from auscult.explain.show import plots

FREQUENCIES, TIMES = np.geomspace(50, 10000, 64), np.arange(64) / 16 - LEAD_SECONDS
HOSTILE = r"data/$\frac{1}$_x^2 <b>5 & \alpha"


def averages(classes: int) -> ClassAverages:
    random = np.random.default_rng(0)
    relevance, shown = random.standard_normal((classes, 2, 64, 64)), random.uniform(0, 1, (classes, 2, 64, 64))
    clips, ones = np.full((classes, 2), 3), np.ones((classes, 64))
    return ClassAverages(clips, relevance, TIMES, np.zeros(9), shown, FREQUENCIES, ones, ones, unit="bin")


def waves(classes: int) -> ClassAverages:
    means = np.random.default_rng(0).standard_normal((classes, 2, 800))
    return ClassAverages(np.ones((classes, 2), int), means, np.arange(800) / 800 - LEAD_SECONDS, np.zeros(9))


def panels(figure: Figure) -> dict[str, list[Axes]]:
    """Axes by title, in the order of the classes."""
    found: dict[str, list[Axes]] = {}
    for axes in figure.axes:
        if title := axes.get_title(loc="left"):
            found.setdefault(title, []).append(axes)
    return found


def names(figure: Figure) -> list[Axes]:
    """Where the names of classes stand, in their order."""
    return [axes for axes in figure.axes if axes.texts and not axes.axison]


def test_all_classes_are_named_with_right_above_wrong():
    means = averages(7)
    means.clips[2] = (5, 0)
    means.relevance[2, 1] = means.spectrogram[2, 1] = 0.0
    means.relevance[6, 1] = 0.0
    means.relevance[6, 1, 30:40, 20:40] = 1.0
    figure = plot_class_averages(means, [f"class {number}" for number in range(7)])
    plots.png(figure)  # lays the axes out
    assert [axes.texts[0].get_text() for axes in names(figure)] == [f"class {number}" for number in range(7)]
    found = panels(figure)
    assert {title: len(axes) for title, axes in found.items()} == {
        "3 right": 6, "3 wrong": 6, "5 right": 1, "0 wrong": 1,
    }  # fmt: skip
    (empty,) = found["0 wrong"]
    assert not empty.images and empty.texts[0].get_text() == "none"
    name, right, wrong = names(figure)[6].get_position(), found["3 right"][-1].get_position(), found["3 wrong"][-1]
    assert name.x0 == right.x0 == wrong.get_position().x0
    assert name.y0 >= right.y1 > right.y0 >= wrong.get_position().y1
    grey, image = wrong.images
    np.testing.assert_array_equal(grey.get_array(), means.spectrogram[6, 1])
    assert image.norm.vmin == -1 and image.norm.vmax == 1
    assert image.get_array()[35, 30] == pytest.approx(1, rel=0.01) and abs(image.get_array()[35, 50]) < 1e-6
    assert image.get_extent() == pytest.approx([TIMES[0] - 1 / 32, TIMES[-1] + 1 / 32, -0.5, 63.5])


def test_each_panel_has_a_scale_of_its_own():
    means = averages(2)
    faint = means.relevance.copy()
    faint[1] *= 1e-3
    pictures = [
        plot_class_averages(replace(means, relevance=values), ["a", "b"]) for values in (means.relevance, faint)
    ]
    for strong, weak in zip(*(panels(picture)["3 right"] for picture in pictures), strict=True):
        np.testing.assert_allclose(strong.images[1].get_array(), weak.images[1].get_array(), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "kind"), [(1, averages), (2, averages), (21, averages), (6, waves)])
def test_any_number_of_classes_can_be_drawn(classes, kind):
    figure = plot_class_averages(kind(classes), [HOSTILE + 50 * "x"] * classes)
    plots.png(figure, dpi=20)
    boxes = [text.get_window_extent() for axes in names(figure) for text in axes.texts]
    widths = [axes.get_window_extent().width for axes in names(figure)]
    assert len(boxes) == classes
    assert all(box.width <= 1.1 * width for box, width in zip(boxes, widths, strict=True)), "names run into each other"


def test_waveforms_are_seen_as_densities():
    means = waves(2)
    figure = plot_class_averages(means, ["a", "b"])
    (shown,) = panels(figure)["1 right"][0].images
    density = shown.get_array()[0]
    ratio = density.sum() / means.relevance[0, 0].sum()
    assert density.shape == (800,) and ratio == pytest.approx(
        density[:400].sum() / means.relevance[0, 0, :400].sum(), rel=0.3
    )


def test_one_class_shows_input_relevance_and_both():
    means = averages(3)
    means.clips[1] = (30, 0)
    figure = plot_class(means, 1)
    found = panels(figure)
    words = ("mean of the clips", "relevance", "both")
    shown, relevant, both = (found[f"30 right: {word}"][0] for word in words)
    np.testing.assert_array_equal(shown.images[0].get_array(), means.spectrogram[1, 0])
    assert [image.get_cmap().name for image in relevant.images] == ["relevance"]
    assert [image.get_cmap().name for image in both.images] == ["Greys", "relevance"]
    assert relevant.images[0].get_array().sum() == pytest.approx(means.relevance[1, 0].sum(), abs=20)
    for word in words:
        (empty,) = found[f"0 wrong: {word}"]
        assert [text.get_text() for text in empty.texts] == ["none"] and not empty.images
    assert "1k" in [label.get_text() for label in shown.get_yticklabels()]


def test_names_are_shown_as_they_are():
    texts = [
        text._preprocess_math(text.get_text())
        for text in plot_class_averages(averages(1), [HOSTILE]).findobj(matplotlib.text.Text)
    ]
    assert not any(is_math for _, is_math in texts)
    assert HOSTILE in [text for text, _ in texts]
