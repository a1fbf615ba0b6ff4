import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import image as images
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from auscult.explain.show import canvas, plots
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram

RATE = 8000
FRONT_END = DecibelSpectrogram(RATE)
HOSTILE = r"data/$\frac{1}$_x^2 <b>5 & \alpha"


def word(start: int = 2000, stop: int = 6000) -> np.ndarray:
    clip = np.zeros(RATE)
    clip[start:stop] = 0.3 * np.random.default_rng(0).standard_normal(stop - start)
    return clip


GRID = {
    "spectrogram": FRONT_END(torch.from_numpy(word())[None, None])[0, 0].numpy(),
    "frequencies": FRONT_END.frequencies.numpy(),
    "times": FRONT_END.times.numpy(),
}


def coloured(figure: Figure, panel: int) -> images.AxesImage:
    """The panel's relevance."""
    (found,) = [image for image in figure.axes[panel].images if image.get_cmap().name == "relevance"]
    return found


def pixels(figure: Figure) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(plots.png(figure)))[..., :3]  # (height, width, 3)


def at(picture: np.ndarray, figure: Figure, panel: int, x: float, y: float) -> np.ndarray:
    """Colour of a panel at x and y in its own units."""
    across, up = figure.axes[panel].transData.transform((x, y)) * 100 / figure.dpi
    return picture[len(picture) - 1 - int(up), int(across)]


def test_waveform_s_colours_are_relevance_per_millisecond():
    relevance = np.zeros(RATE)
    relevance[3000:5000], relevance[5000:7000] = 2.0, -1.0
    image = coloured(plots.plot_clip(word(), relevance, RATE), 0)
    shown = image.get_array()[0]
    assert image.get_extent()[:2] == pytest.approx((0, 1), abs=1 / RATE)
    assert shown[[4000, 6000]].tolist() == pytest.approx([2.0 * 8, -1.0 * 8])  # 8 samples each
    assert shown.sum() / 8 == pytest.approx(relevance.sum())


def test_spectrogram_s_sum_over_frequency_colours_the_waveform():
    relevance = np.zeros((227, 227))
    relevance[10:20, 100:150] = 1.0
    image = coloured(plots.plot_clip(word(), relevance, RATE, **GRID), 0)
    assert image.get_array()[0, 125] == pytest.approx(10 / (1000 * 35 / RATE), rel=1e-4)
    assert image.get_extent()[:2] == pytest.approx((1.5 * 35 / RATE, 228.5 * 35 / RATE))


def test_spectrogram_s_relevance_lies_on_the_network_s_input():
    relevance = np.random.default_rng(0).standard_normal((227, 227))
    figure = plots.plot_clip(word(), relevance, RATE, **GRID)
    image = coloured(figure, 1)
    (grey,) = [image for image in figure.axes[1].images if image.get_cmap().name == "Greys"]
    np.testing.assert_array_equal(image.get_array(), relevance)
    np.testing.assert_array_equal(grey.get_array(), GRID["spectrogram"])
    for drawn in (image, grey):
        assert drawn.origin == "lower"
        assert drawn.get_extent() == pytest.approx([1.5 * 35 / RATE, 228.5 * 35 / RATE, -0.5, 226.5], rel=1e-5)
    assert figure.axes[1].get_xlabel() == "seconds" and figure.axes[1].get_ylabel() == "hertz"
    assert figure.axes[1].get_xlim() == (0, 1) and figure.axes[1].get_ylim() == (-0.5, 226.5)


def test_a_relevant_bin_is_red_where_it_is_in_the_picture():
    relevance = np.zeros((227, 227))
    relevance[110:118, 140:150], relevance[40:48, 140:150] = 1.0, -1.0
    figure = plots.plot_clip(word(), relevance, RATE, **GRID)
    picture, second = pixels(figure), FRONT_END.times[145]
    favour, against, none = (at(picture, figure, 1, second, row) for row in (114, 44, 80))
    assert favour[0] > favour[2] + 0.4 and against[2] > against[0] + 0.4
    assert np.ptp(none) < 0.05


def test_the_grey_spectrogram_of_a_waveform_shows_a_tone_at_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    figure = plots.plot_clip(tone, np.zeros(RATE), RATE)
    (image,) = figure.axes[1].images
    level = image.get_array()
    left, right, bottom, top = image.get_extent()
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    row = figure.axes[1].get_yticks()[labels.index("1k")]
    assert level[:, level.shape[1] // 2].argmax() == pytest.approx(row, abs=1)
    assert (left, right) == pytest.approx((0, 1), abs=0.005) and (bottom, top) == (-0.5, len(level) - 0.5)
    assert level.max() == pytest.approx(0, abs=1e-9) and level.min() == plots.FLOOR_DB


@pytest.mark.parametrize("grid", [{}, GRID], ids=["waveform", "spectrogram"])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_colours_are_centred_on_zero_and_one_outlier_does_not_wash_them_out(grid, scale):
    relevance = scale * np.random.default_rng(0).standard_normal((227, 227) if grid else RATE)
    limits = []
    for outlier in (1.0, 300.0):
        relevance.flat[4000] = outlier * scale
        norm = coloured(plots.plot_clip(word(), relevance, RATE, **grid), 1 if grid else 0).norm
        assert norm.vmin == -norm.vmax < 0
        limits.append(norm.vmax)
    assert limits[1] < 2 * limits[0]


def test_colour_bars_say_where_they_end():
    figure = plots.plot_clip(word(), np.ones((227, 227)), RATE, **GRID)
    labels = [axes.get_ylabel() for panel in figure.axes for axes in panel.child_axes]
    ends = ["relevance per ms\n(ends at its 97th percentile)", "relevance per bin\n(ends at its 99.5th percentile)"]
    assert labels == ends


def test_waveform_in_the_picture_reaches_its_peaks():
    clip = word()
    clip[4567], clip[4568] = 2.0, -2.0  # shorter than a pixel
    figure = plots.plot_clip(clip, np.zeros(RATE), RATE)
    outline = figure.axes[0].collections[0].get_paths()[0].vertices
    assert outline[:, 1].max() == 2.0 and outline[:, 1].min() == -2.0
    assert outline[outline[:, 1].argmax(), 0] == pytest.approx(4567 / RATE, abs=0.001)


@pytest.mark.parametrize("shape", [(RATE,), (227, 227)])
def test_silence_and_no_relevance_can_be_drawn(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pixels(plots.plot_clip(np.zeros(RATE), np.zeros(shape), RATE, **GRID)).shape == (420, 900, 3)


def test_relevance_of_bins_that_are_nowhere_is_refused():
    for missing in GRID:
        known = {name: value for name, value in GRID.items() if name != missing}
        with pytest.raises(ValueError, match="frequencies and times"):
            plots.plot_clip(word(), np.zeros((227, 227)), RATE, **known)


def test_other_lengths_and_rates_keep_their_seconds():
    figure = plots.plot_clip(np.ones(48000), np.ones(48000), 16000)
    assert figure.axes[1].get_xlim() == (0, 3)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["0", "2k", "4k", "6k", "8k"]


def test_time_axis_is_where_the_picture_has_it():
    figure = plots.plot_clip(word(), np.zeros(RATE), RATE)
    start, stop = plots.time_axis(figure)
    picture = pixels(figure)
    dark = (picture[200] < 0.2).all(axis=-1).nonzero()[0]  # the frame's left and right edge cross this row
    assert dark.min() / picture.shape[1] == pytest.approx(start, abs=0.002)
    assert dark.max() / picture.shape[1] == pytest.approx(stop, abs=0.002)


def test_positive_and_negative_differ_for_any_colour_vision():
    # Machado, Oliveira, Fernandes 2009: total protanopia, deuteranopia, tritanopia, on linear RGB
    visions = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
    for against, favour in ((0.0, 1.0), (0.25, 0.75)):
        ends = [np.array(to_rgb(canvas.RELEVANCE_MAP(value)[:3])) ** 2.2 for value in (against, favour)]
        for vision in visions:
            seen = [(np.array(vision) @ end).clip(0, 1) ** (1 / 2.2) for end in ends]
            assert np.linalg.norm(seen[0] - seen[1]) > 0.3


def table() -> pd.DataFrame:
    rows = [(order, share) for order in ("relevance", "random $x$") for share in (0.0, 0.001, 0.01, 0.1, 0.5)]
    frame = pd.DataFrame(rows, columns=["order", "fraction"])
    frame["accuracy"] = 0.95 - frame["fraction"] * frame["order"].map({"relevance": 1.8, "random $x$": 0.3})
    frame["low"], frame["high"], frame["probability"] = frame["accuracy"] - 0.02, frame["accuracy"] + 0.04, 0.5
    return frame.assign(probability_low=0.4, probability_high=0.7)


@pytest.mark.parametrize("value", ["accuracy", "probability"])
def test_curves_are_the_table(value):
    (axes,) = plots.plot_curves(table(), "samples", HOSTILE, value=value, chance=0.1).axes
    low, high = ("low", "high") if value == "accuracy" else ("probability_low", "probability_high")
    orders = [table()[table()["order"] == order] for order in ("relevance", "random $x$")]
    for line, shade, curve in zip(axes.lines, axes.collections, orders, strict=False):
        assert line.get_label() == curve["order"].iloc[0]
        np.testing.assert_array_equal(line.get_xydata(), curve[["fraction", value]])
        outline = shade.get_paths()[0].vertices
        assert outline[:, 1].min() == curve[low].min() and outline[:, 1].max() == curve[high].max()
    assert axes.lines[0].get_color() != axes.lines[1].get_color()
    assert axes.lines[2].get_label() == "chance" and set(axes.lines[2].get_ydata()) == {0.1}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1", "10", "50"]
    steps = np.diff(axes.transData.transform([(fraction, 0) for fraction in (0, 0.001, 0.01, 0.1)])[:, 0])
    assert steps[1] == pytest.approx(steps[2]) and steps[0] > 0  # zero has its place before the logarithms


@pytest.mark.parametrize("fractions", [[0.0], [0.3], [0.0, 1.0], np.arange(0, 1, 0.05)])
def test_curves_of_any_grid_can_be_drawn(fractions):
    low = np.full(len(fractions), np.nan)  # a single speaker has no interval
    rows = {"order": "relevance", "fraction": fractions, "accuracy": 0.5, "low": low, "high": low}
    assert pixels(plots.plot_curves(pd.DataFrame(rows), "bins")).std() > 0


def metrics(before: float, after: float) -> dict[str, float]:
    found = {"accuracy_before": before, "accuracy_before_low": before - 0.1, "accuracy_before_high": before + 0.05}
    found |= {"accuracy_after": after, "accuracy_after_low": 0.1, "accuracy_after_high": 0.5, "flipped": 0.75}
    return {f"intervention/{name}": value for name, value in found.items()} | {"test/accuracy": before}


def test_an_intervention_is_a_pair_of_bars_beside_the_paper_s():
    paper = {"intervention/accuracy_before": 0.96, "intervention/accuracy_after": 0.2}
    groups = {"fold 0": metrics(0.9, 0.3), "fold $1$": metrics(0.8, 0.4)}
    (axes,) = plots.plot_intervention(groups, HOSTILE, paper, chance=0.5).axes
    before, after = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert before == [0.9, 0.8, 0.96] and after == [0.3, 0.4, 0.2]
    assert all(one.get_x() < other.get_x() for one, other in zip(*axes.containers, strict=True))
    ends = [path.vertices[:, 1].tolist() for lines in axes.collections for path in lines.get_paths()]
    assert ends.count([0.1, 0.5]) == 2, "of both folds after; the paper has none here"
    labels = [label.get_text().split("\n") for label in axes.get_xticklabels()]
    assert labels[1] == ["fold $1$", "80.0 % before", "40.0 % after", "75.0 % flipped"]
    assert labels[2] == ["paper, approximately, ± 1 SD", "96.0 % before", "20.0 % after"]


def test_shams_are_grey_bars_beside_them():
    shams = {"intervention/opposite/accuracy_after": 0.6, "intervention/artefact/accuracy_after": 0.7}
    (axes,) = plots.plot_intervention({"fold 0": metrics(0.9, 0.3) | shams}).axes
    heights = {bars.get_label(): bars[0].get_height() for bars in axes.containers}
    assert heights == {"before": 0.9, "after": 0.3, "opposite": 0.6, "artefact": 0.7}


def drawn(figure: Figure) -> list[str]:
    """What the renderer is given, none of it as mathematics."""
    texts = [text._preprocess_math(text.get_text()) for text in figure.findobj(matplotlib.text.Text)]
    assert not any(is_math for _, is_math in texts)
    return [text for text, _ in texts]


def test_names_are_shown_as_they_are():
    assert HOSTILE in drawn(plots.plot_clip(word(), np.zeros(RATE), RATE, HOSTILE))
    assert "random $x$" in drawn(plots.plot_curves(table(), "samples", "$y$"))
    intervention = plots.plot_intervention({HOSTILE: {"intervention/accuracy_after": 0.3}})
    assert f"{HOSTILE}\n30.0 % after" in drawn(intervention)


@pytest.mark.parametrize("title", ["two\nlines", "\udcff undecodable", "tab\t and \x00 and \u202e", "long " * 200])
def test_names_that_cannot_be_drawn_are_escaped_or_cut(title):
    figure = plots.plot_clip(word(), np.zeros(RATE), RATE, title)
    shown = figure.get_suptitle()
    assert shown.isprintable() and len(shown) <= canvas.MOST_CHARACTERS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.png(figure)


@pytest.mark.slow
def test_threads_draw_the_same_pictures_as_one():
    def draw(seed: int) -> bytes:
        relevance = np.random.default_rng(seed).standard_normal(RATE)
        return plots.png(plots.plot_clip(word(), relevance, RATE, f"clip {seed}"), dpi=40)

    alone = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(draw, range(4))) == alone
