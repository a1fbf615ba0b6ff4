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
    assert " make " in packages and install.endswith("make install")
    assert instructions("FROM") == ["python:3.11-slim"] and instructions("COPY") == [". ."]


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


def test_it_is_given_what_is_ours_and_nothing_else():
    rules = [rule for rule in (ROOT / ".dockerignore").read_text().splitlines() if rule and not rule.startswith("#")]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tops = {path.split("/")[0] for path in tracked}
    left_out = {top for top in tops for rule in rules if fnmatch(top, rule)}
    assert len(tops) > 15 and left_out == set()
    for rule in (ROOT / ".gitignore").read_text().split():
        assert {rule.strip("/"), f"**/{rule.strip('/')}"} & set(rules), rule
