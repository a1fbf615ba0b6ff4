"""Every run and every multirun has a folder of its own; whoever cannot have it writes nothing into it."""

import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from auscult.machine.lock import LOCK
from auscult.program import command_line, own_folder
from tests.conftest import SPOKEN_PATTERN, TINY

FAILING = ["data=folder", "data.root=nowhere", SPOKEN_PATTERN]  # a job that ends soon
QUICK = ["limit=1", "clips=0", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=0"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_takes_a_free_folder_where_its_time_is_taken(train_here, tmp_path, monkeypatch):
    named = "hydra.run.dir=outputs/${now:%Y}"
    monkeypatch.setattr(command_line, "remove_traces", lambda folder: None)
    for _ in range(3):
        assert "nowhere" in train_here(*FAILING, named)
    first, *others = sorted(path.name for path in (tmp_path / "outputs").iterdir())
    assert others == [f"{first}-2", f"{first}-3"]
    for name in (first, *others):
        assert f"outputs/{name}" in (tmp_path / f"outputs/{name}/.hydra/hydra.yaml").read_text()
        assert not (tmp_path / f"outputs/{name}" / LOCK).exists()


@pytest.mark.slow
def test_a_sweep_takes_a_free_folder_where_its_time_is_taken(train_here, tmp_path):
    named = "hydra.sweep.dir=sweeps/${now:%Y}"
    said = train_here("-m", *FAILING, "seed=1,2", named)
    assert said == "2 of 2 jobs failed; summary.csv says why."
    (first,) = (tmp_path / "sweeps").iterdir()
    before = contents(first)
    assert train_here("-m", *FAILING, "seed=3,4", named) == said
    second = first.with_name(f"{first.name}-2")
    assert contents(first) == before
    assert sorted(path.name for path in (tmp_path / "sweeps").iterdir()) == [first.name, second.name]
    assert pd.read_csv(second / "summary.csv")["seed"].tolist() == [3, 4]
    assert (second / "0/error.txt").exists() and "seed=3" in (second / "0/.hydra/overrides.yaml").read_text()


def test_many_at_once_each_make_a_folder(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(own_folder.make_free(f"{tmp_path}/a/b"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20


@pytest.mark.slow
def test_a_named_folder_that_holds_something_is_left_as_it_is(train_here, explain_here, trained, tmp_path):
    run = [*TINY, "model=audionet", "task=sex"]
    shutil.copytree(trained("audionet", "sex").parents[1], tmp_path / "run")
    assert "jobs failed" in train_here("-m", *FAILING, "seed=1,2", "hydra.sweep.dir=sweep")
    for arguments, says in [
        ([*run, "hydra.run.dir=run"], "holds a run already"),
        ([*run, "hydra.run.dir=sweep"], "holds a sweep"),
        (["-m", *run, "fold=0,1", "hydra.sweep.dir=run"], "holds a run"),
        (["-m", *run, "fold=0,1", "hydra.sweep.dir=sweep"], "holds a sweep already"),
        (["-m", *FAILING, "seed=1,3", "hydra.sweep.dir=sweep"], "holds a sweep already"),
        (["ckpt_path=elsewhere.ckpt", "hydra.run.dir=run"], "holds a run already"),
        ([*run, "hydra.run.dir=run", "+trainer.fast_dev_run=true"], "holds a run already"),
    ]:
        before = contents(tmp_path)
        said = train_here(*arguments)
        assert says in said and "\n" not in said
        assert contents(tmp_path) == before
    checkpoint = f"checkpoint={tmp_path}/run/checkpoints/best.ckpt"
    before = contents(tmp_path)
    assert "holds a run already" in explain_here(checkpoint, "hydra.run.dir=run")
    assert "holds a run" in explain_here("-m", checkpoint, "target=true,predicted", "hydra.sweep.dir=run")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("sweep", [[], ["-m"]])
def test_a_folder_in_use_is_left_alone(train_here, tmp_path, sweep):
    (tmp_path / "busy").mkdir()
    held = FileLock(tmp_path / "busy" / LOCK)
    held.acquire()  # as another process holds it
    said = train_here(*sweep, *FAILING, "hydra.run.dir=busy", "hydra.sweep.dir=busy")
    assert said.startswith("another process is at work in busy; wait for it, or name another folder with hydra.")
    assert list(contents(tmp_path)) == [f"busy/{LOCK}"]
    held.release()
    assert "another process" not in train_here(*sweep, *FAILING, "hydra.run.dir=busy", "hydra.sweep.dir=busy")


@pytest.mark.slow
def test_explanations_go_on_where_the_same_command_left_off(explain_here, benchmark_here, trained, tmp_path):
    options = [f"checkpoint={trained('audionet', 'sex')}", *QUICK]
    for here, chosen, other in [
        (explain_here, ["attribution=amplitude", "hydra.run.dir=one"], "target=true"),
        (explain_here, ["-m", "attribution=amplitude", "hydra.sweep.dir=several"], "target=true"),
        (benchmark_here, ["attributions=[amplitude]", "hydra.run.dir=board"], "target=true"),
    ]:
        assert here(*options, *chosen) == here(*options, *chosen) == ""
        before = contents(tmp_path)
        assert "holds a" in here(*options, *chosen, other)
        assert contents(tmp_path) == before
    assert "holds a run already" in explain_here(*options, "hydra.run.dir=board")
    assert "holds a run already" in benchmark_here(*options, "hydra.run.dir=one")
    assert contents(tmp_path) == before
    more = ["attributions=[amplitude,random]", "hydra.run.dir=board"]
    assert benchmark_here(*options, *more) == ""  # others join them
    assert set(pd.read_csv(tmp_path / "board/leaderboard.csv")["attribution"]) == {"amplitude", "random"}


@pytest.mark.slow
@pytest.mark.parametrize("subdir", ["same", "${task.name}"])
def test_jobs_that_would_share_a_folder_are_not_begun(train_here, tmp_path, subdir):
    said = train_here("-m", *FAILING, "seed=1,2", f"hydra.sweep.subdir={subdir}", "hydra.sweep.dir=sweep")
    assert said.startswith(f"hydra.sweep.subdir={subdir} would give 2 jobs the folder") and "\n" not in said
    assert not contents(tmp_path)
    assert "2 of 2 jobs failed" in train_here("-m", *FAILING, "seed=1,2", "hydra.sweep.subdir=s${seed}",
                                              "hydra.sweep.dir=sweep")  # fmt: skip
    assert (tmp_path / "sweep/s1/error.txt").exists() and (tmp_path / "sweep/s2/error.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["processes"])
def test_two_sweeps_in_one_second(start_training, tmp_path, launcher):
    common = ["-m", f"hydra/launcher={launcher}", *TINY, "model=melcnn", "fold=0,1"]
    common += ["hydra.sweep.dir=multirun/${now:%Y}"]  # which is the same for both
    both = [start_training(*common, f"seed={seed}") for seed in (1, 2)]
    for sweep in both:
        said, _ = sweep.communicate(timeout=500)
        assert sweep.returncode == 0, said
        if launcher != "processes":  # what those say goes to files of their own
            assert "[job 0] epoch 1/1" in said and "[job 1] epoch 1/1" in said
    seeds = []
    for folder in (tmp_path / "multirun").iterdir():
        table = pd.read_csv(folder / "summary.csv")
        assert table["fold"].tolist() == [0, 1] and table["error"].isna().all()
        (seed,) = set(table["seed"])
        seeds.append(seed)
        assert all(f"seed={seed}" in path.read_text() for path in folder.glob("*/.hydra/overrides.yaml"))
        assert sorted(os.listdir(folder)) == sorted({"0", "1", "multirun.yaml", "summary.csv", "summary.md"} |
                                                    ({".submitit"} if launcher == "processes" else set()))  # fmt: skip
    assert sorted(seeds) == [1, 2]


def test_each_line_of_a_sweep_says_which_job_speaks(train_here, tmp_path, capsys):
    assert "2 of 2 jobs failed" in train_here("-m", *FAILING, "seed=1,2", "hydra.sweep.dir=sweep")
    said = [line for line in capsys.readouterr().out.splitlines() if "This job failed" in line]
    assert len(said) == 2 and all(f" [job {number}] This job failed" in line for number, line in enumerate(said))
    assert " [job 1] " in (tmp_path / "sweep/1/train.log").read_text()
    assert "nowhere" in train_here(*FAILING, "hydra.run.dir=run")
    assert "[job" not in capsys.readouterr().out + (tmp_path / "run/train.log").read_text()


@pytest.mark.parametrize("damage", ["a: 'cut off", "hydra: []", "- 1", "a0: &a0 {x: 1}\na1: {<<: [*a0, *a0]}", "\x00"])
def test_a_damaged_sweep_is_left_as_it_is(train_here, tmp_path, damage):
    (tmp_path / "sweep/0/.hydra").mkdir(parents=True)
    (tmp_path / "sweep/multirun.yaml").write_text(damage)
    (tmp_path / "sweep/0/metrics.json").write_text("{}")
    before = contents(tmp_path / "sweep")
    said = train_here("-m", "model=alexnet", "seed=7,8", *TINY, "hydra.sweep.dir=sweep")
    assert "holds a sweep already" in said and "\n" not in said
    assert contents(tmp_path / "sweep") == before


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_checkpoints_alone_are_left_as_they_are(train_here, explain_here, tmp_path, name):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / f"run/checkpoints/{name}").write_text("hours of work, copied from elsewhere")
    before = contents(tmp_path / "run")
    for program in (train_here, explain_here):
        said = program("hydra.run.dir=run", *([] if program is train_here else ["checkpoint=x.ckpt"]))
        assert "holds a run already" in said and "\n" not in said
    assert contents(tmp_path / "run") == before
