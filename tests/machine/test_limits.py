"""What a file may cost whoever opens it."""

import re
import resource
import subprocess
import sys
import threading
import time

import pytest

from auscult.machine.limits import TooMuch, bytes_at_most, seconds_at_most
from tests.attacks import with_card
from tests.conftest import ROOT


def test_a_search_without_end_is_ended():
    with pytest.raises(TooMuch), seconds_at_most(0.2, "it"):
        re.search("(a|a)*b", "a" * 40)


@pytest.mark.slow
def test_a_library_that_does_not_hear_of_the_time_is_ended():
    code = (
        "import torch; from auscult.machine.limits import seconds_at_most\n"
        "with seconds_at_most(0.2, 'the window'):\n"
        "    torch.nn.functional.avg_pool1d(torch.zeros(1, 1, 10**7), 10**6, stride=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "the window takes longer than 0 seconds; use another.\n")


def test_a_bound_on_memory_leaves_with_what_set_it():
    free = resource.getrlimit(resource.RLIMIT_AS)
    entered, left = threading.Event(), threading.Event()

    def second() -> None:
        entered.set()
        with bytes_at_most(2**30):
            left.wait(10)

    thread = threading.Thread(target=second)
    with pytest.raises(TooMuch), bytes_at_most(2**30), seconds_at_most(0.2, "it"):
        thread.start()
        entered.wait(10)
        re.search("(a|a)*b", "a" * 40)
    left.set()
    thread.join()
    assert resource.getrlimit(resource.RLIMIT_AS) == free


@pytest.mark.slow
def test_a_checkpoint_is_opened_on_a_machine_with_many_cores(trained):
    path = trained("audionet", "sex")
    code = (
        "import torch; from auscult.checkpoint.checkpoint import classifier_of, open_checkpoint\n"
        "torch.set_num_threads(256)\n"
        f"classifier_of(open_checkpoint({str(path)!r})); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "256\n"), done.stderr


@pytest.mark.slow
def test_a_checkpoint_that_computes_for_ever_is_refused(trained, tmp_path):
    window = {"_target_": "torch.nn.AvgPool1d", "kernel_size": 9_000_001, "stride": 1, "padding": 4_500_000}
    clip = {"sample_rate": 1_000_000, "seconds": 19.0}
    path = with_card(trained("audionet", "sex"), tmp_path / "one.ckpt", "config.model.front_end", window)
    for option, value in clip.items():
        path = with_card(path, tmp_path / "two.ckpt", f"config.data.clip.{option}", value)
    started = time.monotonic()
    command = [sys.executable, str(ROOT / "explain.py"), f"checkpoint={path}", "hydra.run.dir=run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "takes longer than" in done.stderr
    assert time.monotonic() - started < 60  # a busy machine
