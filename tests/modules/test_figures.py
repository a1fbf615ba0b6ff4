"""The figures of a test equal scikit-learn's, and have intervals over speakers."""

import numpy as np
import pytest
from sklearn import metrics

from auscult.intervals import SpeakerIntervals
from auscult.modules.answers import ClassAnswers, NumberAnswers, TagAnswers
from auscult.modules.figures import figures

GENERATOR = np.random.default_rng(0)
SPEAKERS = [f"s{number % 6}" for number in range(60)]


def test_classes():
    labels, read = GENERATOR.integers(0, 3, 60), GENERATOR.dirichlet([1, 1, 1], 60)
    found = figures(ClassAnswers(["a", "b", "c"]), read, labels, SPEAKERS)
    predicted = read.argmax(1)
    assert found["accuracy"] == pytest.approx((predicted == labels).mean())
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    low, high = SpeakerIntervals(SPEAKERS).of_mean(predicted == labels)
    assert [found["accuracy_low"], found["accuracy_high"]] == pytest.approx([float(low), float(high)])
    assert found["f1_low"] < found["f1"] < found["f1_high"]


def test_tags():
    labels, read = GENERATOR.integers(0, 2, (60, 4)), GENERATOR.random((60, 4))
    found = figures(TagAnswers(list("abcd")), read, labels, SPEAKERS)
    assert found["map"] == pytest.approx(metrics.average_precision_score(labels, read, average="macro"), abs=1e-6)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, read, average="macro"), abs=1e-6)
    assert all(found[f"{name}_low"] < found[name] < found[f"{name}_high"] for name in ("map", "auc", "f1"))


def test_numbers():
    labels = GENERATOR.normal(2000, 10, 60)
    read = (labels + GENERATOR.normal(0, 5, 60))[:, None]
    found = figures(NumberAnswers(["year"]), read, labels.astype(np.float32), SPEAKERS)
    assert found["mae"] == pytest.approx(np.abs(read[:, 0] - labels).mean(), rel=1e-4)
    assert found["correlation"] == pytest.approx(np.corrcoef(read[:, 0], labels)[0, 1], rel=1e-4)
    assert 0 < found["mae_low"] < found["mae"] < found["mae_high"]
    assert -1 < found["correlation_low"] < found["correlation"] < found["correlation_high"] < 1
    assert "correlation" not in figures(NumberAnswers(["year"]), read[:2], labels[:2].astype(np.float32), SPEAKERS[:2])


def test_numbers_that_are_all_right_are_not_certain():
    labels = GENERATOR.normal(0, 1, 60).astype(np.float32)
    found = figures(NumberAnswers(["level"]), labels[:, None], labels, SPEAKERS)
    assert found["mae"] == 0 and "mae_low" not in found and "mae_high" not in found


def test_one_speaker_gives_no_interval():
    labels, read = GENERATOR.integers(0, 3, 60), GENERATOR.dirichlet([1, 1, 1], 60)
    found = figures(ClassAnswers(["a", "b", "c"]), read, labels, ["me"] * 60)
    assert found.keys() == {"accuracy", "balanced_accuracy", "f1"}
