import json
import runpy
import sys

import pandas as pd
import pytest
import yaml

from auscult.sweep import summary


def job(folder, number, overrides, accuracy=None, error=None, data="audiomnist", file=summary.FAILED):
    run = folder / str(number)
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/overrides.yaml").write_text(yaml.safe_dump([f"{k}={v}" for k, v in overrides.items()]))
    choices = {"data": data, "model": overrides.get("model", "audionet"), "task": overrides.get("task", "digit")}
    hydra = {"hydra": {"runtime": {"choices": choices}, "job": {"num": number}}}
    (run / ".hydra/hydra.yaml").write_text(yaml.safe_dump(hydra))
    if accuracy is not None:
        metrics = {"test/accuracy": accuracy, "test/balanced_accuracy": accuracy, "val/accuracy": accuracy}
        (run / "metrics.json").write_text(json.dumps(metrics | {"fold": int(overrides["fold"])}))
    if error:
        (run / file).write_text(error + "\n")


def test_mean_and_std_over_folds_beside_the_paper(tmp_path):
    accuracies = {"audionet": [0.91, 0.93, 0.95], "alexnet": [0.96, 0.98, 0.97]}
    number = 0
    for model, values in accuracies.items():
        for fold, value in enumerate(values):
            job(tmp_path, number, {"model": model, "fold": str(fold), "data": "audiomnist"}, value)
            number += 1
    summary.write(tmp_path, summary.read_jobs(tmp_path))
    lines = (tmp_path / "summary.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith("| audionet"))
    assert "| 3 | 93.00 ± 2.00 |" in row  # squares of -2, 0 and 2, summed, over 3 - 1
    assert "(divisor n - 1)" in "\n".join(lines[:3]) and "paper, Table 1, as published |" in "\n".join(lines)
    assert row.endswith("92.53 ± 2.04 |")
    assert "95.82 ± 1.49" in next(line for line in lines if line.startswith("| alexnet"))
    table = pd.read_csv(tmp_path / "summary.csv")
    assert list(table["job"]) == list(range(6))
    assert list(table["model"]) == ["audionet"] * 3 + ["alexnet"] * 3
    assert table["test/accuracy"].tolist() == pytest.approx([0.91, 0.93, 0.95, 0.96, 0.98, 0.97])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], "–"),
        ([90.0], "90.00"),  # of one there is no spread
        ([90.0, 92.0], "91.00 ± 1.41"),  # the root of 2
        ([1.0, 2.0, 3.0, 4.0, 5.0], "3.00 ± 1.58"),  # the root of 10 / 4
        ([95.0] * 4, "95.00 ± 0.00"),
    ],
)
def test_the_divisor_is_one_less_than_the_number_of_folds(values, shown):
    assert summary.mean_and_std(values) == shown


def test_failed_killed_and_left_out_jobs(tmp_path):
    job(tmp_path, 0, {"task": "sex", "fold": "0"}, 0.9, data="synthetic")
    job(tmp_path, 1, {"task": "sex", "fold": "1"}, error="data.root is empty.", data="synthetic")
    job(tmp_path, 2, {"task": "sex", "fold": "2"}, data="synthetic")
    job(tmp_path, 3, {"task": "sex", "fold": "4"}, error="no such fold", file=summary.LEFT_OUT, data="synthetic")
    rows = summary.read_jobs(tmp_path)
    assert [row["error"] for row in rows] == ["", "data.root is empty.", "did not finish"]
    summary.write(tmp_path, rows)
    text = (tmp_path / "summary.md").read_text()
    assert "1 of 3" in text and "- job 1: data.root is empty." in text and "- job 2: did not finish" in text
    assert "paper" not in text
    assert pd.read_csv(tmp_path / "summary.csv")["error"].fillna("").tolist() == [row["error"] for row in rows]


def test_all_failed(tmp_path):
    job(tmp_path, 0, {"fold": "0"}, error="x")
    summary.write(tmp_path, summary.read_jobs(tmp_path))
    assert "0 of 1" in (tmp_path / "summary.md").read_text()


def test_a_killed_sweep_can_be_summed_up_again(tmp_path, monkeypatch):
    job(tmp_path, 0, {"fold": "0"}, 0.9)
    job(tmp_path, 1, {"fold": "1"})
    monkeypatch.delitem(sys.modules, "auscult.sweep.summary")
    monkeypatch.setattr(sys, "argv", ["summary.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="takes the folder of a multirun"):
        runpy.run_module("auscult.sweep.summary", run_name="__main__")
    (tmp_path / "multirun.yaml").touch()
    with pytest.raises(SystemExit, match="1 of 2 jobs failed"):
        runpy.run_module("auscult.sweep.summary", run_name="__main__")
    assert pd.read_csv(tmp_path / "summary.csv")["error"].fillna("").tolist() == ["", "did not finish"]


def test_each_attribution_that_explained_the_jobs_has_a_row(tmp_path):
    for fold, area in enumerate((0.4, 0.6)):
        job(tmp_path, fold, {"fold": str(fold)}, 0.9)
        path = tmp_path / f"{fold}/metrics.json"
        areas = {"lrp_epsilon/perturbation/area/relevance": area, "random/perturbation/area/relevance": 0.8}
        path.write_text(json.dumps(json.loads(path.read_text()) | areas))
    summary.write(tmp_path, summary.read_jobs(tmp_path))
    lines = (tmp_path / "summary.md").read_text().splitlines()
    header, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    column = header.index("perturbation/area/relevance")
    assert {row[0]: (row[1], row[column]) for row in rows} == {
        "lrp_epsilon": ("2", "50.00 ± 14.14"),
        "random": ("2", "80.00 ± 0.00"),
    }
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 2  # a row per job


def test_an_intervention_that_was_tested_has_a_row_without_curves(tmp_path):
    job(tmp_path, 0, {"fold": "0"}, 0.9)
    path = tmp_path / "0/metrics.json"
    curves, tested = {"perturbation/area/relevance": 0.4}, {"intervention/accuracy_after": 0.2}
    metrics = json.loads(path.read_text()) | curves | tested  # of the first attribution, and of the first intervention
    metrics |= {f"lrp_epsilon/{name}": value for name, value in curves.items()}
    path.write_text(json.dumps(metrics | {f"keep_band/{name}": value for name, value in tested.items()}))
    summary.write(tmp_path, summary.read_jobs(tmp_path))
    lines = (tmp_path / "summary.md").read_text().splitlines()
    header, *rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    found = [dict(zip(map(str.strip, header), map(str.strip, row), strict=True)) for row in rows]
    assert [(row["attribution"], row["intervention"]) for row in found] == [("lrp_epsilon", ""), ("", "keep_band")]
    assert [row["perturbation/area/relevance"] for row in found] == ["40.00", "–"]
    assert [row["intervention/accuracy_after"] for row in found] == ["–", "20.00"]


@pytest.mark.parametrize("name", [".hydra/overrides.yaml", ".hydra/hydra.yaml", "metrics.json"])
@pytest.mark.parametrize(
    "content",
    ["", "{", "3", "[[[", "{a: &a [1], b: *a}", '{"test/accuracy": "high"}', "\x00", "[" * 5000,
     "[1, 2, 3, 4]" * 20_000,
     '{"overrides": 1, "choices": 2}', '{"test/accuracy": 1' + "0" * 400 + "}", '{"\\ud800": 1}', "\x1b]0;x\x07"],
)  # fmt: skip
def test_a_damaged_record_is_a_row(tmp_path, name, content):
    for number in range(2):
        record = tmp_path / f"{number}/.hydra"
        record.mkdir(parents=True)
        (record / "overrides.yaml").write_text(f"[fold={number}]")
        (record / "hydra.yaml").write_text(f"hydra: {{runtime: {{choices: {{}}}}, job: {{num: {number}}}}}")
        (tmp_path / f"{number}/metrics.json").write_text('{"test/accuracy": 0.5}')
    (tmp_path / "1" / name).write_text(content)
    rows = summary.read_jobs(tmp_path)
    assert [row["job"] for row in rows] == [0, 1] and rows[0]["test/accuracy"] == 0.5
    summary.write(tmp_path, rows)
    assert "0" in (tmp_path / "summary.csv").read_text()


def test_a_sweep_whose_files_are_links_is_not_summed_up(tmp_path):
    for number in range(2):
        job(tmp_path / "sweep", number, {"fold": number}, accuracy=0.5)
    (tmp_path / "precious").write_text("years")
    (tmp_path / "sweep/summary.csv").symlink_to(tmp_path / "precious")
    with pytest.raises(SystemExit, match="is a link that leads out of"):
        summary.sum_up(tmp_path / "sweep")
    assert (tmp_path / "precious").read_text() == "years"
