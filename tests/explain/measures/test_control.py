"""A second network is asked the same question."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.domain.domains import Frequency, Input
from auscult.explain.domain.explain import explain
from auscult.explain.measures.control import Control
from auscult.explain.measures.localisation import Localisation
from auscult.explain.measures.measure import Clips
from auscult.mistake import Mistake
from auscult.modules.model import Model
from tests.explain.domain.test_domains import RATE, classifier

TARGET = torch.tensor([2, 0, 1])


def other(classes: list[str] | None = None) -> Model:
    """The small network of waveforms with other weights."""
    made = classifier("waveform")
    layers = [type(layer)(*arguments) for layer, arguments in zip(
        made.network, [(1, 4, 9, 4), (), (6,), (), (24, 3)], strict=True)]  # fmt: skip
    network = torch.nn.Sequential(*layers)
    return Model(network, front_end=made.front_end, classes=classes or made.classes, sample_rate=RATE).eval()


def test_its_relevance_is_compared_and_located(source_of):
    source = source_of(kind="hum")
    torch.manual_seed(3)
    domain, second = (Frequency(made, RATE) for made in (classifier("waveform"), other()))
    localisation = Localisation(domain, source)
    control = Control(second, domain, GradientXInput(), RATE, localisation)
    waveform, rows = source.dataset.__getitems__([0, 1, 2])["waveform"], np.arange(3)
    relevance, again = (
        each.relevance(GradientXInput(), waveform, each.model.front_end(waveform), TARGET)[0]
        for each in (domain, second)
    )
    clips = Clips(waveform, TARGET, rows, rows, explain(domain, GradientXInput(), waveform, TARGET))
    found = control(clips)
    assert list(found) == control.names
    for clip in range(3):
        expected = spearmanr(relevance[clip, 0], again[clip, 0]).statistic
        assert found["control/similarity"][clip].item() == pytest.approx(expected, abs=1e-5)
    for name, values in localisation.locate(again, rows).items():
        torch.testing.assert_close(found[name.replace("localisation", "control")], values, equal_nan=True)
    itself = Control(domain, domain, GradientXInput(), RATE, None)
    torch.testing.assert_close(itself(clips), {"control/similarity": torch.ones(3)})


def test_it_is_to_be_a_network_of_the_same_kind():
    own = Input(classifier("waveform"), RATE)
    for made, message in (
        (other(["x", "y", "z"]), "control=… has the classes x, y, z, but the checkpoint a, b, c; choose a control"),
        (
            classifier("spectrogram"),
            r"control=… has inputs of the shape \(1, 227, 227\) but the checkpoint of \(1, 8000\)",
        ),
    ):
        with pytest.raises(Mistake, match=message):
            Control(Input(made, RATE), own, GradientXInput(), RATE, None)
