"""Reads back what an offline W&B run wrote: wandb ships no reader of its own files."""

import json
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from wandb.proto import wandb_internal_pb2

from auscult.run.step_log import StepLog
from auscult.run.wandb import unharmed
from tests.conftest import TINY


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Records of a LevelDB log: a 7-byte file header, then 32 KiB blocks of (crc, length, type) and a piece."""
    content, position, pieces = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:  # too little for another header
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        pieces += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # full, last
            record = wandb_internal_pb2.Record()
            record.ParseFromString(pieces)
            pieces = b""
            yield record


@pytest.mark.slow
def test_an_offline_run_holds_config_metrics_and_confusion_matrix(train_here, tmp_path):
    options = ["logger=wandb", "logger.checkpoints=true", "trainer.log_every_n_steps=1"]
    said = train_here("-m", *options, "model=alexnet", "task=sex", "fold=0,1", *TINY, "trainer.max_epochs=2")
    assert said == ""
    (sweep,) = tmp_path.glob("multirun/*/*")
    files = sorted(sweep.glob("*/wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2  # one run per job
    ids = set()
    for fold, file in enumerate(files):
        config, history, summary, finished, kept = {}, [], {}, False, []
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                ids.add(record.run.run_id)
                assert record.run.run_group == f"{sweep.parent.name}/{sweep.name}"
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "config":
                config |= {item.key: json.loads(item.value_json) for item in record.config.update}
            elif kind == "history":
                history.append({item.key or item.nested_key[0] for item in record.history.item})
            elif kind == "summary":
                summary |= {item.key or item.nested_key[0]: item.value_json for item in record.summary.update}
            elif kind == "exit":
                finished = record.exit.exit_code == 0
            elif kind == "artifact":
                kept.append((record.artifact.type, [entry.path for entry in record.artifact.manifest.contents]))
        assert finished
        assert ("model", ["best.ckpt"]) in kept
        assert config["fold"] == fold and config["task"]["name"] == "sex"
        logged = {name for row in history for name in row}
        assert {"train/loss", "val/accuracy", "test/accuracy", "test/confusion", "test/confusion_table"} <= logged
        assert {"train/loss_step", "learning_rate"} <= logged
        metrics = json.loads((file.parents[2] / "metrics.json").read_text())
        assert float(summary["test/balanced_accuracy"]) == metrics["test/balanced_accuracy"]
        assert list(file.parent.glob("files/media/images/test/confusion*.png"))
        assert list(file.parent.glob("files/media/table/test/confusion_table*.json"))
    assert len(ids) == 2
    [table] = sweep.glob("wandb/offline-run-*/files/media/table/summary*.json")
    held = json.loads(table.read_text())
    assert [row[held["columns"].index("fold")] for row in held["data"]] == [0, 1]


@pytest.mark.slow
def test_an_explanation_logs_its_clips_and_its_report(explain_here, trained, tmp_path):
    options = ["logger=wandb", "limit=3", "clips=2", "perturbation.fractions=[0,0.1]", "hydra.run.dir=run"]
    assert explain_here(f"checkpoint={trained('audionet', 'sex')}", *options) == ""
    [file] = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    kept = [record.artifact for record in records(file) if record.WhichOneof("record_type") == "artifact"]
    assert [[entry.path for entry in own.manifest.contents] for own in kept if own.type == "report"] == [
        ["report.html"]
    ]
    [table] = (tmp_path / "run").glob("wandb/offline-run-*/files/media/table/clips*.json")
    held = json.loads(table.read_text())
    rows = [dict(zip(held["columns"], row, strict=True)) for row in held["data"]]
    assert len(rows) >= 2 and {row["attribution"] for row in rows} == {"lrp_epsilon_plus"}
    predictions = pd.read_csv(tmp_path / "run/predictions.csv").set_index("path")
    measures = pd.read_csv(tmp_path / "run/measures.csv").set_index("path")
    for row in rows:
        assert row["prediction"] == predictions.loc[row["path"], "prediction"]
        assert row["complexity/gini"] == pytest.approx(measures.loc[row["path"], "complexity/gini"])
        assert row["picture"] == "Image" and row["original"] == row["positive"] == "Audio"
    held = [entry.path for own in kept if own.type == "run_table" for entry in own.manifest.contents]
    assert sum(path.endswith(".png") for path in held) == len(rows)
    assert sum(path.endswith(".wav") for path in held) == 3 * len(rows)


@pytest.mark.slow
def test_a_failed_job_is_a_failed_run_of_its_own(train_here, tmp_path):
    said = train_here("-m", "logger=wandb", "model=alexnet", "task=sex", *TINY, "trainer.max_steps=1,2")  # 1: too few
    assert said == "1 of 2 jobs failed; summary.csv says why."
    files = sorted(tmp_path.glob("multirun/*/*/*/wandb/offline-run-*/run-*.wandb"))
    ends = [[record.exit.exit_code for record in records(file) if record.WhichOneof("record_type") == "exit"]
            for file in files]  # fmt: skip
    assert ends == [[1], [0]]


def test_what_wandb_refuses_ends_no_run(caplog):
    """The results are in the run folder by then."""
    with caplog.at_level(logging.WARNING), unharmed("the results"):
        raise TypeError("a table of\nmixed types")
    assert caplog.messages == [
        "W&B does not take the results (TypeError: a table of mixed types); the run folder has it."
    ]


class FakeTrainer(SimpleNamespace):
    """As much of one as logs steps."""

    def __init__(self, every: int, accumulated: int = 1) -> None:
        optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
        super().__init__(
            logger=self, log_every_n_steps=every, accumulate_grad_batches=accumulated, optimizers=[optimizer], logged=[]
        )

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values["train/loss_step"]))


@pytest.mark.parametrize(("every", "logged"), [(0, []), (1, [(1, 4.0), (2, 4.0)]), (2, [(2, 4.0)])])
def test_each_step_is_logged_once_with_the_loss_of_a_batch(every, logged):
    """Of two batches a step, whose losses Lightning has divided by two."""
    trainer, log = FakeTrainer(every, accumulated=2), StepLog()
    for batch in range(4):
        trainer.global_step = (batch + 1) // 2
        log.on_train_batch_end(trainer, None, {"loss": 2.0}, None, batch)
    assert trainer.logged == logged
