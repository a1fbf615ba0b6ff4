"""What a relevance file adds up to."""

import numpy as np
import pytest

from tests.explain.small_results import small_results

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
