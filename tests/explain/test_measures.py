"""Which measures apply to a run, and where they look for cues and confounds."""

from typing import Any

import numpy as np
import pytest
import torch

from src.build import build_named
from src.explain.measures import COST, Measures
from tests.explain.test_domain import classifier

RATE = 8000


def domain_of(name: str, kind: str) -> Any:
    windows = {"window_seconds": 0.057, "hop_seconds": 0.014} if name == "TimeFrequency" else {}
    return build_named({"_target_": f"src.explain.domain.{name}", **windows}, "domain", classifier(kind), RATE, RATE)


@pytest.mark.parametrize(
    ("domain", "kind", "confound", "places"),
    [
        ("Input", "waveform", "hum", {"confound"}), ("Time", "spectrogram", None, set()),
        ("Frequency", "waveform", "hum", {"confound"}),
        ("TimeFrequency", "waveform", "click", {"harmonic", "formant", "frication", "confound"}),
        ("Input", "spectrogram", None, {"harmonic", "formant", "frication"}),
        ("Input", "mel", "hum", {"harmonic", "formant", "frication"}),
        ("TimeFrequency", "waveform", "lead_in", {"confound"}),
    ],
)  # fmt: skip
def test_names_are_those_of_what_is_measured(source_of, domain, kind, confound, places):
    source, view = source_of(**({"kind": confound} if confound else {})), domain_of(domain, kind)
    for target in ("predicted", "true", 1):
        measures = Measures(view, source, target, RATE)
        assert {name.split("/")[2] for name in measures.names if name.startswith("localisation")} == places
        assert any(name.startswith("faithfulness") for name in measures.names) == (target == "predicted")
        waveform = source.dataset.__getitems__([0, 1, 2])["waveform"]
        input = view.classifier.front_end(waveform)
        silence = view.classifier.front_end(torch.zeros_like(waveform[:1]))
        values = measures(input, input.abs(), silence, np.arange(3))
        assert [*COST, *values] == measures.names
        assert all(value.shape == (3,) for value in values.values())


def test_a_planted_hum_is_found_by_energy_of_its_clips_alone(source_of):
    source = source_of(kind="hum")
    planted = source.dataset.planted
    assert planted.any() and not planted.all()
    domain = domain_of("Frequency", "waveform")
    measures = Measures(domain, source, "predicted", RATE)
    waveform = source.dataset.__getitems__([0, 1, 2])["waveform"]
    coefficients = domain.classifier.front_end(waveform)
    found = measures(coefficients, coefficients.abs().square(), coefficients[:1] * 0, np.arange(3))
    mass, chance = (found[f"localisation/{name}/confound"] for name in ("mass", "chance"))
    assert torch.isnan(mass).tolist() == torch.isnan(chance).tolist() == (~planted).tolist()
    assert (mass[planted] > 5 * chance[planted]).all()


def test_energy_lies_on_the_harmonics(source_of):
    domain, source = domain_of("TimeFrequency", "waveform"), source_of()
    measures = Measures(domain, source, "true", RATE)
    coefficients = domain.classifier.front_end(source.dataset.__getitems__([2, 0])["waveform"])
    found = measures(coefficients, coefficients.abs().square(), coefficients[:1] * 0, np.array([2, 0]))
    assert (found["localisation/mass/harmonic"] > 0.8).all() and (found["localisation/chance/harmonic"] < 0.3).all()
    swapped = measures(coefficients, coefficients.abs().square(), coefficients[:1] * 0, np.array([0, 2]))
    assert (swapped["localisation/mass/harmonic"] < found["localisation/mass/harmonic"]).all()
