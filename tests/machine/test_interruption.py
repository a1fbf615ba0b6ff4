"""SIGTERM and Ctrl-C: every program ends soon, in every phase, with a word on how to go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from submitit.core.utils import UncompletedJobError

from auscult.machine.lock import LOCK
from tests.conftest import ROOT, TINY

LONG = [*TINY, "model=melcnn", "task=sex", "trainer.max_epochs=100000"]
TWO = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]
JOB = """
import hashlib, subprocess, sys, time
from auscult.machine import interruption
interruption.GRACE = 1.0
interruption.listen()
{before}
with interruption.of_job(lambda: "go on with: this"):
    {job}
print("went on")
"""


def ended(start: Callable[[], subprocess.Popen[str]], when: Callable[[], bool], number: int = signal.SIGTERM) -> str:
    """What a program says that is sent a signal; all that it started is gone."""
    process, given_up = start(), time.monotonic() + 200
    try:
        while not when() and process.poll() is None:
            assert time.monotonic() < given_up, "what is waited for never comes"
            time.sleep(0.02)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)  # SIGTERM is given 10 s; this machine may be busy
    finally:
        process.kill()  # where the test fails: nobody else would end it
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 1}[number], said
    assert "Traceback" not in said
    return said


def of_python(code: str) -> Callable[[], subprocess.Popen[str]]:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "job",
    [
        "begin(); time.sleep(100)",
        "exec('try:\\n  begin(); time.sleep(100)\\nexcept BaseException as e: raise ValueError from e')",  # wrapped
        "x = type('X', (), {'__del__': lambda self: (begin(), time.sleep(100))})(); del x; time.sleep(100)",  # lost
        "exec('try:\\n  begin(); time.sleep(100)\\nexcept BaseException: pass')",  # swallowed, at the job's end
    ],
)
def test_a_job_ends_with_a_word(tmp_path, job, number):
    before = f"begin = lambda: open({str(tmp_path / 'begun')!r}, 'w').close()"
    said = ended(of_python(JOB.format(before=before, job=job)), (tmp_path / "begun").exists, number)
    reason = {signal.SIGTERM: "Ended by SIGTERM", signal.SIGINT: "Interrupted"}[number]
    assert said == f"{reason}; go on with: this\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "job",
    [
        "begin(); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",  # no instruction of Python's for hours
        "exec('while True:\\n  try:\\n    begin(); time.sleep(1)\\n  except BaseException: pass')",
    ],
)
def test_what_a_library_does_with_the_signal_does_not_matter(tmp_path, job):
    before = f"begin = lambda: open({str(tmp_path / 'begun')!r}, 'w').close()"
    said = ended(of_python(JOB.format(before=before, job=job)), (tmp_path / "begun").exists)
    assert said == "Ended by SIGTERM; go on with: this\n"


@pytest.mark.slow
def test_a_library_that_makes_another_error_of_it_while_it_is_imported(tmp_path):
    before = (
        f"open({str(tmp_path / 'begun')!r}, 'w').close()\n"
        "class Named:\n  def __set_name__(self, *_): time.sleep(100)\nclass Owner:\n  name = Named()"
    )
    said = ended(of_python(JOB.format(before=before, job="pass")), (tmp_path / "begun").exists)
    assert said == "Ended by SIGTERM; repeat the command: nothing was saved yet\n"


def test_processes_end_with_the_one_that_started_them(tmp_path):
    child = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(tmp_path / 'child')!r}, 'w').close();"
    code = JOB.format(
        before="", job=f"print(subprocess.Popen([sys.executable, '-c', {child + 'time.sleep(100)'!r}]).pid, flush=True)"
        "; time.sleep(100)"
    )  # fmt: skip
    pid = ended(of_python(code), (tmp_path / "child").exists).split()[0]
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"  # nobody has asked for its end


@pytest.mark.slow
@pytest.mark.parametrize("program", ["train", "explain", "benchmark", "serve", "study"])
def test_every_program_listens_before_it_imports_anything(program, tmp_path):
    (tmp_path / "hydra").mkdir()
    (tmp_path / "hydra/__init__.py").write_text(f"open({str(tmp_path / 'begun')!r}, 'w')\nimport time; time.sleep(100)")

    def start() -> subprocess.Popen[str]:
        code = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
        code += "runpy.run_path(sys.argv[1], run_name='__main__')"
        command = [sys.executable, "-c", code, str(ROOT / f"{program}.py")]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip

    said = ended(start, (tmp_path / "begun").exists)
    assert said == "Ended by SIGTERM; repeat the command: nothing was saved yet\n"


@pytest.mark.slow
@pytest.mark.parametrize("devices", [[], TWO])
def test_a_training_that_is_ended_can_be_gone_on_with(start_training, tmp_path, devices):
    last = tmp_path / "run/checkpoints/last.ckpt"
    said = ended(lambda: start_training(*LONG, *devices, "hydra.run.dir=run"), last.exists)
    way_on = " ".join([f"ckpt_path={last}", *devices])  # where to run is for the command line to say
    assert said.splitlines()[-1].endswith(f"Ended by SIGTERM; go on with: python train.py {way_on}")
    assert not list(tmp_path.rglob("*.part"))
    epochs = len(pd.read_csv(tmp_path / "run/metrics.csv"))
    ended(lambda: start_training(f"ckpt_path={last}"), lambda: len(pd.read_csv(tmp_path / "run/metrics.csv")) > epochs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_first_epoch_in_a_multirun(start_training, tmp_path, number):
    begun = tmp_path / "sweep/0" / LOCK
    said = ended(lambda: start_training("-m", *LONG, "fold=0,1", "hydra.sweep.dir=sweep"), begun.exists, number)
    assert "nothing was saved yet; the sweep ends, go on by repeating the command with hydra.sweep.dir=" in said
    assert not (tmp_path / "sweep/1").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["processes", "cores"])
def test_a_launchers_jobs_end_with_the_program(start_training, tmp_path, launcher):
    begun = tmp_path / "sweep/0/checkpoints/last.ckpt"
    options = ["-m", f"hydra/launcher={launcher}", *LONG, "fold=0,1", "hydra.sweep.dir=sweep"]
    assert "hydra.sweep.dir=" in ended(lambda: start_training(*options), begun.exists)
    time.sleep(1)
    epochs = (tmp_path / "sweep/0/metrics.csv").read_text()
    time.sleep(5)
    assert (tmp_path / "sweep/0/metrics.csv").read_text() == epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "moment"), [("explain", "Explaining"), ("explain", "Drawing"), ("benchmark", "Explaining")]
)
def test_explanations_and_benchmarks(trained, tmp_path, program, moment):
    command = [sys.executable, str(ROOT / f"{program}.py"), f"checkpoint={trained('audionet', 'sex')}", "clips=12",
               "limit=12", "data.batch_size=1", "hydra.run.dir=run"]  # fmt: skip
    log = tmp_path / f"run/{program}.log"
    said = ended(
        lambda: subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True),
        lambda: log.exists() and moment in log.read_text(),
    )
    assert f"go on by repeating the command with hydra.run.dir={tmp_path / 'run'}" in said


def children_of(process: int, name: str) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout.splitlines()
    rows = [line.split(None, 2) for line in listed]
    found = [process]
    for pid in found:
        found += [int(row[0]) for row in rows if int(row[1]) == pid]
    return [int(row[0]) for row in rows if int(row[0]) in found and name in row[2]]


@pytest.mark.slow
def test_a_queue_starts_a_job_again_and_it_goes_on(start_training, tmp_path):
    last = tmp_path / "sweep/0/checkpoints/last.ckpt"
    sweep = start_training("-m", "hydra/launcher=processes", *TINY, "model=melcnn", "task=sex", "fold=0",
                           "trainer.max_epochs=40", "hydra.sweep.dir=sweep")  # fmt: skip
    while not last.exists() and sweep.poll() is None:
        time.sleep(0.02)
    (job,) = children_of(sweep.pid, "submitit.core._submit")
    os.kill(job, signal.SIGUSR2)  # as SLURM does, some time before it ends a job
    said, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said
    log = (tmp_path / "sweep/0/train.log").read_text()
    assert f"Going on with the run in {tmp_path / 'sweep/0'}" in log
    table = pd.read_csv(tmp_path / "sweep/0/metrics.csv")
    assert table["epoch"].tolist() == list(range(40))
    assert log.count("epoch 1/40") == 1  # what was trained is not trained again
    assert pd.read_csv(tmp_path / "sweep/summary.csv")["error"].isna().all()


@pytest.mark.slow
def test_a_job_that_the_queue_gives_up_says_how_to_go_on(train_here, monkeypatch, tmp_path):
    from auscult.modules.classifier import Classifier

    def time_out(self):
        if self.current_epoch == 1:
            raise UncompletedJobError("Job not requeued because: timed-out too many times.")

    monkeypatch.setattr(Classifier, "on_validation_start", time_out)
    said = train_here("-m", *TINY, "model=melcnn", "task=sex", "trainer.max_epochs=3", "hydra.sweep.dir=sweep")
    assert said == "1 of 1 jobs failed; summary.csv says why."
    log = (tmp_path / "sweep/0/train.log").read_text()
    assert f"timed-out too many times; go on with: python train.py ckpt_path={tmp_path}/sweep/0/ch" in log
    assert "Traceback" not in log
