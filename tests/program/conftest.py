"""Programs in forks of one process, for mistakes that are named before PyTorch is imported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# runs programs that it is told of, a line each: program, words, working folder, and files for what they say
WITHOUT_TORCH = """
import json, os, sys

class WithoutTorch:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("PyTorch takes seconds to import")

sys.meta_path.insert(0, WithoutTorch)
import benchmark, explain, serve, study, train
import auscult.checkpoint.look, auscult.datamodules.folder, auscult.datamodules.synthetic, auscult.sweep.summary
from hydra import compose, initialize_config_dir
from auscult.program.conf import CONF, PROGRAMS
from tests.quick_hydra import make_quick

make_quick(setattr)
with initialize_config_dir(str(CONF), version_base="1.3"):
    for name in PROGRAMS:  # what their forks find parsed
        compose(name)

def run(program, words, folder, *files):
    os.chdir(folder)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = [program, *words]
    try:
        sys.modules[program].cli()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return 1 if ended.code else 0
    return 0

for line in sys.stdin:
    child = os.fork()
    if not child:
        status = 99
        try:
            status = run(*json.loads(line))
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="session")
def said(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Callable[..., str]]:
    """What a program says that ends with a mistake. All run in forks of one process: its imports take most of a run."""
    folder = tmp_path_factory.mktemp("said")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"AUSCULT_CACHE": str(cache_dir), "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen([sys.executable, "-c", WITHOUT_TORCH], cwd=ROOT, env=clean, **pipes) as server:

        def said(program: str, *words: str, cwd: Path = ROOT) -> str:
            files = [folder / name for name in ("stdout", "stderr")]
            for file in files:
                file.write_text("")
            server.stdin.write(json.dumps([program, words, str(cwd), *map(str, files)]) + "\n")
            server.stdin.flush()
            assert int(server.stdout.readline()) == 1, files[1].read_text()
            told = [line for line in files[0].read_text().splitlines() if "data.pattern reads " not in line]
            assert not told and "Traceback" not in files[1].read_text()
            return files[1].read_text()

        yield said
        server.stdin.close()
