"""Tags and numbers from the training to the report and the leaderboard, on synthetic clips."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score

import auscult
from tests.conftest import run_program

SHORT = ["data.repetitions=1", "trainer.max_epochs=2", "trainer.limit_train_batches=6", "model=ds_cnn"]
TASKS = {
    "tags": ["task=tags", "task.label=consonants", "class_weights=balanced"],
    "number": ["task=number", "task.label=pitch", "task.unit=Hz", "augmentation.mixup=0.5"],
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory, cache_dir):
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            where = [f"data.cache_dir={cache_dir}", f"hydra.run.dir={made[kind]}"]
            assert run_program("train", *TASKS[kind], *SHORT, *where) == ""
        return made[kind]

    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "metrics", "figure"),
    [
        ("tags", {"test/map", "test/f1", "test/auc", "val/map", "test/precision/nasal"}, "tags.png"),
        ("number", {"test/mae", "test/correlation", "val/mae"}, "scatter.png"),
    ],
)
def test_a_run_has_its_own_metrics_and_figure(run_of, kind, metrics, figure):
    folder = run_of(kind)
    assert metrics <= json.loads((folder / "metrics.json").read_text()).keys()
    assert (folder / figure).stat().st_size > 5000 and not (folder / "confusion.png").exists()


@pytest.mark.slow
def test_predictions_of_tags_are_read_back_as_labels(run_of):
    table = pd.read_csv(run_of("tags") / "predictions.csv", keep_default_na=False)
    names = [column[2:-1] for column in table if column.startswith("p(")]
    assert names == ["fricative", "liquid", "nasal", "stop"]
    for row in table.head(20).to_dict("records"):
        assert row["prediction"] == ";".join(name for name in names if row[f"p({name})"] >= 0.5)
    assert set(";".join(table["label"]).split(";")) == set(names)


@pytest.mark.slow
def test_errors_of_numbers_are_those_of_the_metrics(run_of):
    folder = run_of("number")
    table = pd.read_csv(folder / "predictions.csv")
    np.testing.assert_allclose(table["error"], table["prediction"] - table["label"], atol=1e-4)
    assert table["error"].abs().mean() == pytest.approx(
        json.loads((folder / "metrics.json").read_text())["test/mae"], rel=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options", "has", "lacks"),
    [
        ("number", [], ["test/mae", "perturbation/fall_area/relevance"], ["test/accuracy", "faithfulness/drop"]),
        (
            "tags",
            ["target=nasal"],
            ["test/accuracy", "perturbation/area/relevance"],
            ["perturbation/fall_area/relevance"],
        ),
        ("tags", [], ["perturbation/fall_area/relevance", "test/map", "test/f1", "test/auc"], ["test/accuracy"]),
    ],
)
def test_explanations_speak_of_what_is_asked(run_of, explain_here, tmp_path, kind, options, has, lacks):
    assert explain_here(f"checkpoint={run_of(kind)}", "limit=12", "clips=2", "hydra.run.dir=run", *options) == ""
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert set(has) <= metrics.keys() and not set(lacks) & metrics.keys()
    if kind == "tags":  # the number of this network hardly depends on its input, and rounding counts there
        assert metrics["conservation_error/highest"] < 1e-3
    page = (tmp_path / "run/report.html").read_text()
    assert ("its mean error is" in page) == (kind == "number")
    if kind == "tags" and not options:
        table = pd.read_csv(tmp_path / "run/predictions.csv", keep_default_na=False)
        names = [column[2:-1] for column in table if column.startswith("p(")]
        truth = np.array([[name in row.split(";") for name in names] for row in table["label"]])
        with h5py.File(tmp_path / "run/relevance.h5") as file:  # the table's probabilities are rounded
            read = 1 / (1 + np.exp(-file["prediction"][:].astype(float)))
        some = truth.any(0)
        assert truth.any() and metrics["test/map"] == pytest.approx(
            average_precision_score(truth[:, some], read[:, some], average="macro"), abs=1e-4
        )
        assert metrics["test/f1"] == pytest.approx(f1_score(truth[:, some], read[:, some] >= 0.5, average="macro"))


@pytest.mark.slow
def test_a_number_in_a_notebook_is_that_of_the_program(run_of):
    table = pd.read_csv(run_of("number") / "predictions.csv")
    model = auscult.load(run_of("number"))
    from auscult.datamodules.synthetic import Synthetic

    corpus = Synthetic(1, 0, "both")
    clip = next(clip for clip in corpus.clips() if clip.path == table["path"][0])
    samples, rate = corpus.read(clip)
    explanation = auscult.explain(model, samples.T, rate)
    assert float(explanation.prediction) == pytest.approx(
        table["prediction"][0], rel=0.1
    )  # another place in its silence
    assert explanation.conservation_error < 1e-3 and len(explanation.probabilities) == 0


@pytest.mark.slow
@pytest.mark.parametrize("attribution", ["rise", "freqrise attribution.score=probability domain=frequency"])
def test_probabilities_among_classes_are_not_asked_of_numbers(run_of, explain_here, attribution):
    given = f"attribution={attribution}".split()
    said = explain_here(f"checkpoint={run_of('number')}", "limit=2", "hydra.run.dir=run", *given)
    assert "asks for the probability of a class among all, and the network gives a number; choose another." in said


@pytest.mark.slow
def test_a_leaderboard_of_a_number(run_of, benchmark_here, tmp_path):
    short = [
        "limit=4",
        "clips=0",
        "checks=0",
        "attributions=[lrp_epsilon,amplitude]",
        "perturbation.fractions=[0,0.1,0.5]",
    ]
    assert benchmark_here(f"checkpoint={run_of('number')}", *short, "hydra.run.dir=run") == ""
    table = pd.read_csv(tmp_path / "run/leaderboard.csv")
    assert {"deletion/fall", "deletion/error"} <= set(table["measure"])
