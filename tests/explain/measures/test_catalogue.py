"""Which measures apply to a run, and where they look for cues and confounds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.attribution.base import Attribution
from auscult.explain.attribution.controls import Amplitude
from auscult.explain.domain.explain import explain
from auscult.explain.measures.catalogue import COST, Measures
from tests.explain.domain.test_domains import classifier

RATE = 8000


class Energy(Attribution):
    """Relevance that is the energy of each coefficient."""

    asks_logits_only = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        return input.abs().square()


def domain_of(name: str, kind: str) -> Any:
    windows = {"window_seconds": 0.057, "hop_seconds": 0.014} if name == "TimeFrequency" else {}
    return build_named(
        {"_target_": f"auscult.explain.domain.domains.{name}", **windows}, "domain", classifier(kind), RATE
    )


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
        measures = Measures(view, source, target)
        assert {name.split("/")[2] for name in measures.names if name.startswith("localisation")} == places
        assert any(name.startswith("faithfulness") for name in measures.names) == (target == "predicted")
        waveform = source.dataset.__getitems__([0, 1, 2])["waveform"]
        values = measures(explain(view, Amplitude(), waveform), np.arange(3))
        assert [*COST, *values] == measures.names
        assert all(value.shape == (3,) for value in values.values())


def test_a_planted_hum_is_found_by_energy_of_its_clips_alone(source_of):
    source = source_of(kind="hum")
    planted = source.dataset.planted
    assert planted.any() and not planted.all()
    domain = domain_of("Frequency", "waveform")
    measures = Measures(domain, source, "predicted")
    waveform = source.dataset.__getitems__([0, 1, 2])["waveform"]
    found = measures(explain(domain, Energy(), waveform), np.arange(3))
    mass, chance = (found[f"localisation/{name}/confound"] for name in ("mass", "chance"))
    assert torch.isnan(mass).tolist() == torch.isnan(chance).tolist() == (~planted).tolist()
    assert (mass[planted] > 5 * chance[planted]).all()


def test_energy_lies_on_the_harmonics(source_of):
    domain, source = domain_of("TimeFrequency", "waveform"), source_of()
    measures = Measures(domain, source, "true")
    energy = explain(domain, Energy(), source.dataset.__getitems__([2, 0])["waveform"])
    found = measures(energy, np.array([2, 0]))
    assert (found["localisation/mass/harmonic"] > 0.8).all() and (found["localisation/chance/harmonic"] < 0.3).all()
    swapped = measures(energy, np.array([0, 2]))
    assert (swapped["localisation/mass/harmonic"] < found["localisation/mass/harmonic"]).all()
