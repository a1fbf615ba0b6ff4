"""The Dockerfile is the README's steps; there is no container engine here, so its steps are looked at one by one."""

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_it_runs_the_steps_of_the_readme():
    packages, install = instructions("RUN")
    assert " make " in packages and re.search(r'make install TORCH_INDEX="\$PIP_EXTRA_INDEX_URL"$', install)
    assert instructions("ARG") == ["PIP_EXTRA_INDEX_URL"]
    assert instructions("FROM") == ["python:3.11-slim"] and instructions("COPY") == [". ."]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["page=record"]])
def test_its_command_is_serve_py(options, tmp_path):
    """For a user without a name and a home folder, from the mounted folder."""
    [entry], [default] = instructions("ENTRYPOINT"), instructions("CMD")
    installed = str(ROOT / ".venv/bin/python")
    program, script, *own = [part.replace("/auscult", str(ROOT), 1) for part in json.loads(entry)]
    assert program == installed and Path(script).is_file()
    command = [sys.executable, script, *own, *(options or json.loads(default))]
    environment = dict(setting.split("=") for setting in " ".join(instructions("ENV")).split())
    assert {"HOME", "USER"} <= environment.keys()
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True
    )
    if options:
        assert done.returncode == 1 and "record.root has no value" in done.stderr
    else:
        assert done.returncode == 0 and "Serves a page" in done.stdout
    assert not list(tmp_path.iterdir())


def test_it_is_given_the_program_and_nothing_that_anybody_made():
    rules = [rule for rule in (ROOT / ".dockerignore").read_text().splitlines() if rule and not rule.startswith("#")]

    def is_given(name: str) -> bool:
        """The last rule that fits decides (for names at the top, as all here but the last)."""
        return [rule.startswith("!") for rule in rules if fnmatch(name, rule.removeprefix("!"))][-1]

    needed = [
        "src",
        "auscult",
        "conf",
        "serve.py",
        "study.py",
        "train.py",
        "Makefile",
        "pyproject.toml",
        "requirements",
        "README.md",
    ]
    assert all(is_given(name) and (ROOT / name).exists() for name in needed)
    ours = ["my_corpus", "studies", "outputs", ".git", ".venv", "best.ckpt", "data", "voice.wav", "answers.sqlite"]
    assert not any(is_given(name) for name in ours)
