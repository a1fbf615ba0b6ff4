import ctypes
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COUNT_FAULTS = """
import resource
import torch
from auscult.machine import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
memory.keep_freed()
faults()  # takes what is then kept
print(before, faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_freed_memory_is_used_again() -> None:
    command = [sys.executable, "-c", COUNT_FAULTS]
    counted = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    before, after = map(int, counted.split())
    assert after < 0.5 * before  # where nothing is kept, the two are equal
