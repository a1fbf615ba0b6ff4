"""What a relevance file adds up to."""

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

from auscult.explain.intervention.interventions import RemoveBand
from auscult.explain.measures.metrics import Complexity
from auscult.explain.relevance import results as results_module
from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import class_averages
from auscult.explain.report.class_examples import similarities
from tests.explain.small_results import RATE, small_results, wave_view

PROBABILITIES = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]


def test_relevance_of_biases_is_kept_apart(tmp_path):
    logit = np.log([0.9, 0.8, 0.5])
    of_input = logit * [0.75, 1.5, 1.0]
    relevance = np.repeat(of_input / 1000, 1000).reshape(3, 1000)
    results = small_results(tmp_path, relevance, [0, 1, 0], PROBABILITIES, ["a", "b"], biases=list(logit - of_input))
    np.testing.assert_allclose(results.share_of_biases, [0.25, -0.5, 0], atol=1e-5)
    np.testing.assert_allclose(results.conservation_error, 0, atol=1e-5)
    assert results.metrics["biases/median"] == pytest.approx(0.25, abs=1e-5)
    assert results.metrics["conservation_error/highest"] == pytest.approx(0, abs=1e-5)


def test_what_is_lost_is_no_share_of_biases(tmp_path):
    logit = np.log([0.9, 0.8, 0.5])
    relevance = np.repeat(logit / 2000, 1000).reshape(3, 1000)
    results = small_results(tmp_path, relevance, [0, 1, 0], PROBABILITIES, ["a", "b"], biases=list(logit / 5))
    np.testing.assert_allclose(results.conservation_error, 0.3, atol=1e-5)


def test_files_from_before_biases_were_kept_apart_still_open(tmp_path):
    relevance = np.repeat(np.log([0.9, 0.8, 0.5]) / 2000, 1000).reshape(3, 1000)
    results = small_results(tmp_path, relevance, [0, 1, 0], PROBABILITIES, ["a", "b"])
    assert np.isnan(results.share_of_biases).all() and "biases/median" not in results.metrics
    np.testing.assert_allclose(results.conservation_error, 0.5, atol=1e-5)


@pytest.mark.parametrize(("kept", "times"), [(2**28, 1), (0, 2)], ids=["small", "large"])
def test_relevance_is_read_through_once(tmp_path, monkeypatch, kept, times):
    """For averages, sums and typical clips; a second time where it is too large to stay in memory."""
    monkeypatch.setattr(results_module, "KEPT", kept)
    monkeypatch.setattr(results_module, "BATCH", 2)
    relevance = np.random.default_rng(0).standard_normal((3, 1000))
    results = small_results(tmp_path, relevance, [0, 1, 0], PROBABILITIES, ["a", "b"])
    read, getitem = [], h5py.Dataset.__getitem__

    def noted(column: h5py.Dataset, *arguments: Any) -> Any:
        values = getitem(column, *arguments)
        if column.name == "/relevance":
            read.append(values.size)
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", noted)
    averages = class_averages(results, wave_view())
    total, alike = results.total, similarities(results, wave_view(), averages)
    assert sum(read) == times * relevance.size
    np.testing.assert_allclose(total, relevance.sum(1), rtol=1e-4)
    assert np.isfinite(alike).all()


def test_files_from_before_a_measure_still_open(tmp_path):
    results = small_results(tmp_path, np.ones((3, 1000)), [0, 1, 0], PROBABILITIES, ["a", "b"])
    with h5py.File(results.path, "a") as file:
        file["complexity/entropy"] = np.array([1, 2, 3], np.float32)
    question = replace(results.question, measurements=[Complexity()])
    again = Results(results.path, results.source, question, results.classes, seed=0)
    assert again.metrics["complexity/entropy"] == 2 and "complexity/gini" not in again.metrics


def test_a_control_that_is_none_any_more_stays_out(tmp_path):
    """Earlier versions took keeping a band alone for a control of removing it, and wrote it into the file."""
    earlier = small_results(tmp_path, np.ones((2, RATE)), [0, 1], np.eye(2).tolist(), ["a", "b"])
    with h5py.File(earlier.path, "a") as file:
        for name in ("intervention", "sham/opposite", "sham/artefact"):
            file[name] = np.eye(2)
    question = replace(earlier.question, intervention=RemoveBand(8000, 500, 1000))
    assert set(Results(earlier.path, earlier.source, question, ["a", "b"], 0).shams) == {"artefact"}
