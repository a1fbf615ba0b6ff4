"""Measures and curves are those of Quantus (Hedström et al., arXiv 2202.06861), which is installed for tests alone.

Its OpenCV needs libGL.so.1, libglib-2.0.so.0 and libxcb.so.1 from the system. Where they are missing it cannot be
imported, and what needs it is skipped; `test_metrics` has a few of its numbers that need nothing.
"""

import ast
import math
import os
import tomllib
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auscult.explain.measures.energy import curve_over_energy
from auscult.explain.measures.fill import Silence
from auscult.explain.measures.metrics import entropy, gini, mass_accuracy, pointing_game, rank_accuracy, similarity
from auscult.explain.measures.perturbation import counts_of, perturb
from tests.conftest import ROOT
from tests.test_house import imported

WAVEFORMS, SPECTROGRAMS = (6, 1, 640), (6, 1, 20, 32)  # (B, 1, T), (B, 1, F, N)
STEPS = 8  # that removes all, in equal shares

both_inputs = pytest.mark.parametrize("shape", [WAVEFORMS, SPECTROGRAMS], ids=["waveform", "spectrogram"])


@pytest.fixture(scope="module")
def quantus() -> ModuleType:
    with patch.dict(os.environ):  # OpenCV sets LD_LIBRARY_PATH, for all programs that tests start from then on
        return pytest.importorskip("quantus", exc_type=ImportError)


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relevance_of(shape: tuple[int, ...], seed: int) -> Tensor:
    """Random, of both signs, most of it on few features; no two alike."""
    return draw(shape, seed) ** 3


def mask_of(shape: tuple[int, ...], seed: int) -> Tensor:
    """Random, of another size in each clip, where the last clip's is empty."""
    size = torch.linspace(0.5, 0, shape[0]).view(-1, *[1] * (len(shape) - 1))
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed + 100)) < size


def asked(measure: object, relevance: Tensor, mask: Tensor | None = None) -> np.ndarray:
    """What a measure of Quantus says of each clip, (B,)."""
    assert callable(measure)
    values = measure(
        model=None,
        x_batch=np.zeros(relevance.shape),  # these measures do not look at it
        y_batch=np.zeros(len(relevance), int),
        a_batch=relevance.double().numpy(),
        s_batch=None if mask is None else mask.numpy(),
        channel_first=True,
    )
    return np.array(values, float)


@both_inputs
@pytest.mark.parametrize("seed", range(3))
def test_complexity(quantus, shape, seed):
    relevance = relevance_of(shape, seed)
    options = {"abs": True, "normalise": False}
    np.testing.assert_allclose(entropy(relevance), asked(quantus.Complexity(**options), relevance), rtol=1e-5)
    np.testing.assert_allclose(gini(relevance), asked(quantus.Sparseness(**options), relevance), rtol=1e-5)


@both_inputs
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore:(Return np.nan|invalid value)")  # of the empty mask
def test_localisation(quantus, shape, seed):
    relevance, mask = relevance_of(shape, seed), mask_of(shape, seed)
    options = {"abs": False, "normalise": False}
    by_rank = asked(quantus.RelevanceRankAccuracy(**options), relevance, mask)
    np.testing.assert_allclose(rank_accuracy(relevance, mask), by_rank, rtol=1e-6)
    assert np.isnan(by_rank).tolist() == [False] * 5 + [True]
    # RelevanceMassAccuracy would take negative relevance from both the mask's and the sum
    by_mass = asked(quantus.RelevanceMassAccuracy(**options), relevance.clamp(min=0), mask)
    np.testing.assert_allclose(mass_accuracy(relevance, mask), by_mass, rtol=1e-5)
    by_share = asked(quantus.AttributionLocalisation(positive_attributions=True, **options), relevance, mask)
    np.testing.assert_allclose(mass_accuracy(relevance, mask), by_share, rtol=1e-5)


@both_inputs
def test_pointing_game(quantus, shape):
    hits = []
    for seed in range(10):
        # without the empty mask, which Quantus counts as a hit: it stores its NaN as a truth value
        relevance, mask = relevance_of(shape, seed)[:-1], mask_of(shape, seed)[:-1]
        by_quantus = asked(quantus.PointingGame(abs=False, normalise=False), relevance, mask)
        assert pointing_game(relevance, mask).tolist() == by_quantus.tolist()
        hits += by_quantus.tolist()
    assert 5 < sum(hits) < 45  # of 50


@both_inputs
def test_similarity(quantus, shape):
    one = relevance_of(shape, 0).round(decimals=1)  # with ties
    other = 0.3 * one + draw(shape, 1).round(decimals=1)
    expected = quantus.correlation_spearman(one.flatten(1).numpy(), other.flatten(1).numpy(), batched=True)
    np.testing.assert_allclose(similarity(one, other), expected, rtol=1e-5)


def network_of(shape: tuple[int, ...]) -> nn.Sequential:
    """A small one, of inputs (B, 1, T) or (B, 1, F, N), surer than fresh networks are."""
    torch.manual_seed(0)
    convolution = nn.Conv1d if len(shape) == 3 else nn.Conv2d
    last = nn.Linear(4 * math.prod(shape[1:]), 3)
    last.weight.data *= 5
    return nn.Sequential(convolution(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), last).eval()


def flipped(
    quantus: ModuleType, network: nn.Module, input: Tensor, label: Tensor, scores: Tensor, value: float
) -> np.ndarray:
    """Probability (B, STEPS) of the labels where 1, 2, ... STEPS shares are set to a value, by PixelFlipping."""
    flipping = quantus.PixelFlipping(
        features_in_step=input[0].numel() // STEPS, normalise=False, perturb_baseline=value, disable_warnings=True
    )
    arrays = (part.numpy() for part in (input, label, scores))
    probability = np.array(flipping(network, *arrays, channel_first=True, softmax=True, device="cpu"))
    assert np.ptp(probability, axis=1).min() > 0.05  # there is a curve to compare
    return probability


@both_inputs
def test_curves(quantus, shape):
    network, input, label = network_of(shape), draw(shape, 0), torch.tensor([0, 1, 2, 0, 1, 2])
    relevance = relevance_of(shape, 1)
    scores = {"relevance": relevance, "least relevant": -relevance, "random": [draw(shape, 2), draw(shape, 3)]}
    fractions = [step / STEPS for step in range(1, STEPS + 1)]
    fill = Silence(torch.full((1, *shape[1:]), -0.7), list)
    counts = counts_of(input, fill.silence, fractions, "paper")
    outcome = perturb(network, input, label, scores, counts, fill)
    assert outcome.orders == ("relevance", "least relevant", "random", "random")
    for row, of_order in enumerate([relevance, -relevance, *scores["random"]]):
        expected = flipped(quantus, network, input, label, of_order, -0.7)
        np.testing.assert_allclose(outcome.probability[:, row], expected, atol=1e-6)


@both_inputs
def test_curves_over_energy_where_all_features_have_the_same(quantus, shape):
    network, input, label = network_of(shape), draw(shape, 0).sign(), torch.tensor([0, 1, 2, 0, 1, 2])
    relevance = relevance_of(shape, 1)
    fractions = [step / STEPS for step in range(STEPS + 1)]
    fill = Silence(torch.zeros(1, *shape[1:]), list)
    deletion, insertion = (
        curve.numpy() for curve in curve_over_energy(network, input, label, relevance, fractions, fill)
    )
    np.testing.assert_allclose(deletion[:, 1:], flipped(quantus, network, input, label, relevance, 0.0), atol=1e-6)
    # to insert the most relevant share is to remove all others, the least relevant first
    others = flipped(quantus, network, input, label, -relevance, 0.0)
    np.testing.assert_allclose(insertion[:, :-1], others[:, ::-1], atol=1e-6)


def test_the_program_does_without():
    """Quantus has a copyleft licence, which this program's is not."""
    files = [*ROOT.glob("*.py"), *(ROOT / "src").rglob("*.py")]
    assert {"train.py", "explain.py", "benchmark.py", "metrics.py"} <= {path.name for path in files}
    for path in files:
        names = imported(path)
        names |= {node.value for node in ast.walk(ast.parse(path.read_text())) if is_text(node)}  # of import_module
        assert not any(name.split(".")[0] == "quantus" for name in names), path
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"program": project["dependencies"], **project["optional-dependencies"]}
    assert [extra for extra, lines in needed.items() if any("quantus" in line for line in lines)] == ["dev"]


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
