import numpy as np
import torch

from auscult.explain.show.spectra import FLOOR_DB, level, plot_spectrum, visible


def test_level_is_in_decibels_below_the_loudest():
    coefficients = torch.tensor([[[1 + 1j, 0.1 * 2**0.5, 0]], [[0, 0, 0]]], dtype=torch.complex64)
    np.testing.assert_allclose(level(coefficients)[0], [0, -20, FLOOR_DB], atol=1e-4)
    assert (level(coefficients)[1] == FLOOR_DB).all()


def test_a_spectrum_shows_relevance_for_above_and_against_below():
    frequencies, relevance = np.linspace(0, 4000, 4001), np.zeros(4001)
    relevance[1000], relevance[3000] = 2.0, -1.0
    figure = plot_spectrum(np.full(4001, -20.0), relevance, frequencies, "clip")
    above, below = figure.axes
    assert below.get_xlabel() == "hertz" and above.get_ylim()[0] == FLOOR_DB
    rising, falling = (filled.get_paths()[0].vertices for filled in below.collections)
    assert rising[rising[:, 1].argmax(), 0] == 1000 and falling[falling[:, 1].argmin(), 0] == 3000
    drawn = [part[part[:, 1] != 0] for part in (rising, falling)]
    sums = [np.abs(part[:, 1]).sum() for part in drawn]  # of densities per hertz, one hertz apart
    np.testing.assert_allclose(sums, [2, 1], rtol=1e-3)


def test_power_is_drawn_in_decibels_and_decibels_as_they_are():
    generator = torch.Generator().manual_seed(0)
    decibels = -70 * torch.rand(2, 20, 30, generator=generator)
    decibels[:, 3, 4] = 0
    scaled = 1 + decibels / 70
    torch.testing.assert_close(visible(scaled), scaled)
    torch.testing.assert_close(visible(5.0 * 10 ** (decibels / 10)), scaled)
    torch.testing.assert_close(visible(decibels), decibels)
    assert not visible(torch.zeros(1, 20, 30)).any()
    padded = torch.cat([torch.zeros(2, 20, 300), scaled], 2)  # a short clip in silence
    torch.testing.assert_close(visible(padded), padded)
