"""What a training leaves that is explained at its end, by `explain_by` and by `callbacks`."""

import json

import pandas as pd
import pytest

from tests.explain.test_callbacks import QUICK
from tests.machine.test_processes import PLAIN, TWO, uneven_folder  # noqa: F401
from tests.run.test_wandb import records

SMALL = ["model=melcnn", "hydra.run.dir=run"]


def metrics_of(run):
    return json.loads((run / "metrics.json").read_text())


@pytest.mark.slow
def test_an_offline_run_holds_what_explains_it(train_here, tmp_path, sexes):
    options = ["callbacks=[explain,intervention]", "intervention=scale_waveform", "explain_by=[amplitude]"]
    options += [*QUICK, "callbacks.relevance.every_n_epochs=2", "attribution=gradient_x_input", "logger=wandb"]
    assert train_here(*options, *sexes, *SMALL, "trainer.max_epochs=3") == ""
    run = tmp_path / "run"
    assert sorted(path.name for path in (run / "relevance").iterdir()) == ["epoch-002", "epoch-003"]
    assert len(list((run / "relevance/epoch-003").glob("*.png"))) == 2
    names = ["amplitude", "gradient_x_input", "scale_waveform"]
    assert sorted(path.parent.name for path in run.glob("explanation/*/report.html")) == names
    curves, metrics = pd.read_csv(run / "explanation/gradient_x_input/curves.csv"), metrics_of(run)
    assert curves.query("fraction == 0")["accuracy"].tolist() == pytest.approx([metrics["test/accuracy"]] * 4)
    area = curves.query("order == 'relevance' and fraction > 0")["accuracy"].item()  # the height at one fraction
    assert metrics["perturbation/area/relevance"] == pytest.approx(area)
    assert metrics["gradient_x_input/perturbation/area/relevance"] == metrics["perturbation/area/relevance"]
    assert metrics["amplitude/perturbation/area/relevance"] == pytest.approx(metrics["perturbation/area/amplitude"])
    assert metrics["intervention/accuracy_before"] == pytest.approx(metrics["test/accuracy"])
    assert metrics["scale_waveform/intervention/flipped"] == metrics["intervention/flipped"]
    assert not (run / "explanation/scale_waveform/curves.csv").exists()
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    kept = list(records(file))
    logged = {
        item.key or item.nested_key[0]
        for record in kept if record.WhichOneof("record_type") == "history"
        for item in record.history.item
    }  # fmt: skip
    panels = {"relevance/pictures", "relevance/sounds", "perturbation/curves", "perturbation/table"}
    assert panels | {"intervention/accuracy"} <= logged
    assert {"train/loss", "val/accuracy", "test/accuracy"} <= logged
    summary = {
        item.key or item.nested_key[0]: item.value_json
        for record in kept if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }  # fmt: skip
    for name in ("perturbation/area/relevance", "intervention/accuracy_after", "amplitude/complexity/gini"):
        assert float(summary[name]) == pytest.approx(metrics[name])
    media = file.parent / "files/media"
    assert len(list((media / "images/relevance").glob("pictures*.png"))) == 4
    assert len(list((media / "audio/relevance").glob("sounds*.wav"))) == 2 * 2 * 5
    assert len(list((media / "images/perturbation").glob("curves*.png"))) == 2  # of the two attributions
    assert len(list((media / "images/intervention").glob("accuracy*.png"))) == 1
    assert list((media / "table/perturbation").glob("table*.json"))


@pytest.mark.slow
def test_a_hypothesis_is_tested_after_training(train_here, tmp_path, sexes):
    options = ["experiment=sex_scaling", *sexes, "hydra.sweep.dir=sweep", "-m", "fold=0,1"]
    assert train_here(*options) == ""
    metrics = metrics_of(tmp_path / "sweep/0")
    assert metrics["intervention/accuracy_before"] == pytest.approx(metrics["test/accuracy"])
    assert 0 <= metrics["intervention/accuracy_after"] <= 1
    summary = (tmp_path / "sweep/summary.md").read_text()
    assert "intervention/accuracy_after" in summary and "20.3 ± 12.6" in summary
    assert (tmp_path / "sweep/1/explanation/scale_spectrogram/figures/intervention.png").exists()


@pytest.mark.slow
def test_a_resumed_run_is_explained_as_it_was_to_be(train_here, tmp_path, sexes):
    assert train_here("callbacks=explain", *QUICK, *sexes, *SMALL, "trainer.max_epochs=2", "keep_last=true") == ""
    curves = tmp_path / "run/explanation/lrp_epsilon_plus/curves.csv"
    before = curves.read_text()
    curves.unlink()
    assert train_here("ckpt_path=run/checkpoints/last.ckpt", "keep_last=true") == ""
    assert curves.read_text() == before
    curves.unlink()
    assert train_here("ckpt_path=run/checkpoints/last.ckpt", "callbacks=none") == ""
    assert not curves.exists()


@pytest.mark.slow
def test_two_processes_find_what_one_does(train_here, tmp_path, uneven_folder):  # noqa: F811
    options = [*PLAIN, f"data.root={uneven_folder}", "callbacks=explain", *QUICK]
    assert train_here(*options, "hydra.run.dir=one") == ""
    assert train_here(*options, *TWO, "hydra.run.dir=two") == ""
    file = "explanation/lrp_epsilon_plus/curves.csv"
    one, two = (pd.read_csv(tmp_path / run / file) for run in ("one", "two"))
    assert one["order"].equals(two["order"])
    for name in ("accuracy", "probability"):  # of one speaker there are no intervals
        assert one[name].tolist() == pytest.approx(two[name].tolist(), abs=1e-3)
