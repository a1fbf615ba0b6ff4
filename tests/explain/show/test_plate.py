"""Pictures that a page draws by itself."""

import base64
import io
import re
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from torch import nn

from auscult.datamodules.clips import Segment
from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.domain.domains import Frequency
from auscult.explain.show.clip import View
from auscult.explain.show.plate import FOR, GREY, HEIGHT, PIECES, coloured, fitting, greyed, plate, row_ticks
from auscult.modules.model import Model
from tests.explain.small_results import COLUMNS, RATE, ROWS, clip, small_view, wave_view


def pixels(uri: str) -> np.ndarray:
    """(F, N, 4) bytes of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA"))


def points(path: str) -> np.ndarray:
    return np.array([[float(number) for number in point.split()] for point in re.split("[MLZ]", path) if point])


def test_colours_are_dense_where_relevance_is():
    drawn = pixels(coloured(np.array([[-2.0, -1.0, 0.0], [0.0, 0.5, 1.0]])))  # the first row is the lowest
    assert drawn.shape == (2, 3, 4)
    assert drawn[..., 3].tolist() == [[0, pytest.approx(128, abs=2), 255], [255, 255, 0]]
    assert drawn[0, 2, :3].tolist() == list(FOR) and drawn[1, 0, 2] > drawn[1, 0, 0], "blue is against"


def test_grey_is_dense_where_it_is_loud():
    drawn = pixels(greyed(np.array([[0.0, 0.5, 1.0]])))
    assert drawn[0, :, 3].tolist() == [0, 128, 255] and drawn[0, 1, :3].tolist() == list(GREY)


def test_large_pictures_become_means_of_neighbours():
    values = np.random.default_rng(0).standard_normal((480, 900)).astype(np.float32)
    found = fitting(values)
    assert found.shape == (240, 300)
    np.testing.assert_allclose(found, values.reshape(240, 2, 300, 3).mean((1, 3)), atol=1e-6)
    assert fitting(values[:3, :4]).tolist() == values[:3, :4].tolist()


def test_a_spectrogram_lies_where_its_bins_are():
    relevance = np.zeros((ROWS, COLUMNS))
    relevance[1, 4] = 1.0  # 200 Hz, at 0.4 s
    above, below = plate(small_view(), clip(0.3)[None].astype(np.float32), relevance[None], "dog").panels
    assert below.grey is not None and below.relevance.start == -5 and below.relevance.width == 100  # 0.1 s around 0 s
    drawn = pixels(below.relevance.uri)
    assert np.argwhere(drawn[..., 3]).tolist() == [[ROWS - 2, 4]] and drawn[ROWS - 2, 4, :3].tolist() == list(FOR)
    assert {words: place for place, words in below.ticks}["200"] == pytest.approx(100 * 1.5 / ROWS)
    strip = pixels(above.relevance.uri)[0, :, 3]
    assert strip.argmax() == 4 and above.relevance == type(above.relevance)(above.relevance.uri, -5, 100)


def test_the_outline_is_the_waveforms_envelope():
    waveform = np.zeros(RATE, np.float32)
    waveform[500] = 0.5
    outline = points(plate(wave_view(), waveform[None], np.zeros((1, RATE)), "dog").panels[0].outline)
    assert len(outline) == 2 * PIECES and outline.min() >= 0 and outline[:, 0].max() <= PIECES
    highest = outline[outline[:, 1].argmin()]
    assert highest.tolist() == [pytest.approx(PIECES / 2, abs=1), pytest.approx(HEIGHT / 2 * (1 - 1 / 1.1), abs=0.1)]


def test_waveforms_are_seen_in_time_and_frequency_if_they_can_be():
    model = Model(nn.Identity(), classes=[], sample_rate=RATE)
    waveform, relevance = clip(0.3)[None].astype(np.float32), np.ones((1, RATE), np.float32)
    assert len(plate(wave_view(), waveform, relevance, "dog").panels) == 1
    view = View.of(model, (1, RATE), attribution=GradientXInput())
    drawn = plate(view, waveform, relevance, "dog")
    assert len(drawn.panels) == 2 and drawn.plays and drawn.ticks[-1] == (100, "1")
    assert drawn.panels[1].relevance.start + drawn.panels[1].relevance.width >= 100


def test_a_spectrum_is_along_hertz():
    trained = Model(nn.Identity(), classes=[], sample_rate=RATE)
    domain = Frequency(trained, RATE)
    view = View.of(domain.model, (1, RATE // 2 + 1))
    waveform = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE).astype(np.float32)
    relevance = np.zeros(RATE // 2 + 1)
    relevance[100] = 1.0
    drawn = plate(view, waveform[None], relevance[None], "dog")
    [panel] = drawn.panels
    assert not drawn.plays and drawn.ticks[1] == (20, "100")
    assert pixels(panel.relevance.uri)[0, :, 3].argmax() / PIECES == pytest.approx(0.2, abs=0.01)
    outline = points(panel.outline)
    assert outline[outline[:, 1].argmin()].tolist() == [pytest.approx(0.2 * PIECES, abs=1.5), 0], "the tone is the peak"


@pytest.mark.parametrize("shape", [(1, RATE), (1, ROWS, COLUMNS)])
def test_silence_and_no_relevance_are_drawn(shape):
    view = wave_view() if len(shape) == 2 else small_view()
    for panel in plate(view, np.zeros((1, RATE), np.float32), np.zeros(shape), "dog").panels:
        assert not pixels(panel.relevance.uri)[..., 3].any() and np.isfinite(points(panel.outline)).all()


@pytest.mark.parametrize("frequencies", [np.linspace(0, 4000, 200), np.geomspace(50, 4000, 64), np.array([0.0, 4000])])
def test_words_of_rows_do_not_touch(frequencies):
    ticks = row_ticks(frequencies)
    assert all(other - one >= 11 for (one, _), (other, _) in pairwise(ticks))
    assert ticks[-1][1].endswith("Hz") and not any("Hz" in word for _, word in ticks[:-1])


def test_what_is_said_is_marked_within_the_clip():
    """Segments that begin before the clip or end after it are cut; those beyond it are left out."""
    segments = [Segment("a", -0.2, -0.1), Segment("b", -0.1, 0.25), Segment("c", 0.25, 1.5), Segment("d", 2.0, 3.0)]
    drawn = plate(wave_view(), clip(0.2)[None], np.ones((1, RATE)), "yes", segments)
    assert drawn.marks == ((0.0, 25.0, "b"), (25.0, 100.0, "c"))
