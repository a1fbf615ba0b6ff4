"""Which measures apply to a run, and where they look for cues and confounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.explain.attribution.base import Attribution
from auscult.explain.attribution.controls import Amplitude
from auscult.explain.domain.explain import explain
from auscult.explain.measures import catalogue
from auscult.explain.measures.localisation import Localisation
from auscult.explain.measures.measure import Clips, Run
from tests.explain.domain.test_domains import classifier

RATE = 8000
CONFIG = {
    "perturbation": {"fractions": [0, 0.1], "random_orders": 1, "energies": [0, 1], "definition": "sounding"},
    "fill": {"name": "silence", "_target_": "auscult.explain.measures.fill.Silence"},
    "data": {"batch_size": 3}, "seed": 0, "checks": 2, "control": None,
}  # fmt: skip


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
        ("Input", "mel", "hum", {"harmonic", "formant", "frication", "confound"}),
        ("TimeFrequency", "waveform", "lead_in", {"confound"}),
    ],
)  # fmt: skip
def test_names_are_those_of_what_is_measured(source_of, domain, kind, confound, places):
    source, view = source_of(**({"kind": confound} if confound else {})), domain_of(domain, kind)
    batch, rows = source.dataset.__getitems__([0, 1, 2]), np.arange(3)
    clips = Clips(batch["waveform"], batch["label"], rows, rows, explain(view, Amplitude(), batch["waveform"]))
    for target in ("predicted", "true", 1):
        run = Run(classifier(kind), view, Amplitude(), source, target, CONFIG)
        taken = [each for each in map(run.measurement, catalogue.MEASUREMENTS) if each is not None]
        names = [name for measurement in taken for name in measurement.names]
        assert {name.split("/")[2] for name in names if name.startswith("localisation")} == places
        assert ("faithfulness/gain" in names) == (target == "predicted")
        for measurement in taken:
            values = measurement(clips)
            rows_of = {name: np.dtype((value.numpy().dtype, value.shape[1:])) for name, value in values.items()}
            assert rows_of.keys() == measurement.columns.keys() >= set(measurement.names)
            assert {name: row.shape for name, row in rows_of.items()} == {
                name: row.shape for name, row in measurement.columns.items()
            }


def test_a_planted_hum_is_found_by_energy_of_its_clips_alone(source_of):
    source = source_of(kind="hum")
    planted = source.dataset.planted
    assert planted.any() and not planted.all()
    domain = domain_of("Frequency", "waveform")
    waveform = source.dataset.__getitems__([0, 1, 2])["waveform"]
    found = Localisation(domain, source).locate(explain(domain, Energy(), waveform).relevance, np.arange(3))
    mass, chance = (found[f"localisation/{name}/confound"] for name in ("mass", "chance"))
    assert torch.isnan(mass).tolist() == torch.isnan(chance).tolist() == (~planted).tolist()
    assert (mass[planted] > 5 * chance[planted]).all()


def test_energy_lies_on_the_harmonics(source_of):
    domain, source = domain_of("TimeFrequency", "waveform"), source_of()
    localisation = Localisation(domain, source)
    energy = explain(domain, Energy(), source.dataset.__getitems__([2, 0])["waveform"]).relevance
    found = localisation.locate(energy, np.array([2, 0]))
    assert (found["localisation/mass/harmonic"] > 0.8).all() and (found["localisation/chance/harmonic"] < 0.3).all()
    swapped = localisation.locate(energy, np.array([0, 2]))
    assert (swapped["localisation/mass/harmonic"] < found["localisation/mass/harmonic"]).all()


def test_a_clips_cues_are_made_once(source_of):
    """For all of its cues, and for the control that asks after it."""
    asked = []
    source = source_of()
    assert source.cues is not None
    counting = replace(source, cues=lambda clip: asked.append(clip) or source.cues(clip))
    domain = domain_of("TimeFrequency", "waveform")
    localisation = Localisation(domain, counting)
    relevance = explain(domain, Energy(), source.dataset.__getitems__([2, 0])["waveform"]).relevance
    for _ in range(2):
        localisation.locate(relevance, np.array([2, 0]))
    assert asked == [source.clips[2], source.clips[0]]


def test_every_measure_says_what_it_is():
    measures = list(catalogue.measures())
    assert len({measure.column for measure in measures}) == len(measures) > 25
    for measure in measures:
        assert measure.says and catalogue.measure_of(measure.column) is measure
        assert catalogue.measure_of(f"{measure.column}/confound") is measure
    assert len({measure.topic.place for measure in measures}) == len({measure.topic for measure in measures})
    [said] = catalogue.explanations(["complexity/gini", "complexity/entropy"])
    assert said.startswith("Complexity: on how few") and "in nats; lower is better. " in said


def test_what_an_attribution_decides_is_told_from_the_rest():
    decided = catalogue.decided_by_attribution()
    for name in ("perturbation/area/random", "conservation_error/median", "cost/passes_low", "control/mass/confound"):
        assert name.startswith(decided)
    assert not any(name.startswith(decided) for name in ("test/accuracy", "intervention/flipped", "seconds"))
