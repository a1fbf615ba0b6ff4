"""The locks against pyproject.toml, and what `make` installs of them, with stand-ins for Python and pip."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PIN = re.compile(r"([a-z0-9-]+)==(\S+)( ; [^\\]+)? \\")


def read_lock(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each package; a line that is neither a pin, nor a hash, nor a comment is refused."""
    pins: dict[str, tuple[str, frozenset[str]]] = {}
    for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines():
        if pin := PIN.fullmatch(line):
            package = pin[1]
            assert package not in pins
            pins[package] = (pin[2], frozenset())
        elif digest := re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line):
            version, hashes = pins[package]
            pins[package] = (version, hashes | {digest[1]})
        else:
            assert re.fullmatch(r" *#.*", line), line
    return pins


@pytest.mark.parametrize("name", ["build", "run", "dev"])
def test_every_package_has_a_version_and_hashes(name):
    pins = read_lock(name)
    assert pins and all(hashes for _, hashes in pins.values())


@pytest.mark.parametrize("name", ["build", "run", "dev"])
def test_a_lock_names_no_place(name):
    assert not re.search(
        r"https?:|file:|index|/(home|root|tmp|work)\b", (ROOT / f"requirements/{name}.txt").read_text()
    )


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("run", [*PROJECT["project"]["dependencies"], *EXTRAS["serve"], *EXTRAS["cluster"]]),
        ("dev", [*PROJECT["project"]["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]),
        ("build", [*PROJECT["dependency-groups"]["build"], *PROJECT["build-system"]["requires"]]),
    ],
)
def test_a_lock_has_what_the_project_asks_for(name, asked):
    pins = read_lock(name)
    for requirement in map(Requirement, asked):
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_tests_run_with_the_packages_that_the_program_runs_with():
    build, run, dev = map(read_lock, ("build", "run", "dev"))
    assert build.items() <= run.items() <= dev.items()


def test_tools_of_the_tests_stay_out_of_the_program():
    tools = {canonicalize_name(Requirement(line).name) for line in EXTRAS["dev"]}
    # wandb itself needs httpx
    assert tools & read_lock("run").keys() <= {"httpx"}
    assert not read_lock("run").keys() & {"opencv-python", "numba", "llvmlite", "scikit-image", "pluggy"}


def licences(heading: str) -> dict[tuple[str, str], str]:
    """What docs/licences.md says under a heading: the licence of each package and version."""
    text = (ROOT / "docs/licences.md").read_text().split(f"## {heading}")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return {(canonicalize_name(name), version): licence for name, version, licence in rows[1:]}


def test_the_licences_of_all_packages_are_listed():
    run, dev = read_lock("run"), read_lock("dev")
    elsewhere = {"colorama", "httpx2-jsfetch"} | {
        name for name in dev if name.startswith(("audioop-", "standard-"))
    }  # Windows, browsers, Python 3.13
    for heading, names in {"What the program runs with": run.keys(), "What only the tests": dev.keys() - run}.items():
        expected = {(name, dev[name][0]) for name in names - elsewhere}
        assert set(licences(heading)) == expected


def test_the_program_needs_nothing_under_the_gpl():
    copyleft = {
        name: licence
        for (name, _), licence in licences("What the program runs with").items()
        if re.search(r"GPL|General Public|Affero", licence, re.IGNORECASE)
    }
    assert copyleft.keys() == {"zennit", "soxr"}
    assert all("LGPL" in licence for licence in copyleft.values())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of which only the Makefile and the locks are needed, and a PATH that has no Python yet."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "bin").mkdir()
    for tool in ("make", "sh", "awk", "grep", "date", "touch", "mkdir", "cp"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


TOLD = """#!/bin/sh
echo "$*" >> told
"""
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit {unfit}; fi
if [ "$1" = --version ]; then echo Python 3.9.2; exit; fi
mkdir -p $3/bin
for program in python ruff mypy; do cp bin/told $3/bin/$program; done
echo {name} > made_by
"""


def put_python(checkout: Path, name: str, fits: bool = True) -> None:
    """A Python that makes a .venv, whose programs only note in `told` what they are told to do."""
    for path, script in {"told": TOLD, name: PYTHON.format(name=name, unfit=int(not fits))}.items():
        (checkout / "bin" / path).write_text(script)
        (checkout / "bin" / path).chmod(0o755)


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", *arguments]
    return subprocess.run(command, cwd=checkout, env={"PATH": str(checkout / "bin")}, capture_output=True, text=True)


def installed(checkout: Path) -> list[str]:
    """The files whose packages pip was told to install since this was last asked."""
    told = checkout / "told"
    lines = [line for line in told.read_text().splitlines() if " install " in line]
    told.write_text("")
    assert all("--require-hashes" in line and "--no-build-isolation" in line for line in lines)
    assert all("--only-binary :all:" in line and "." not in line.split() for line in lines)
    return [line.split(" -r ")[1] for line in lines]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tests"], "make has no tests; it has: install install-dev demo test"),  # a folder of that name is there
        (["train"], "make has no train; it has: install install-dev demo test"),
        (["test", "-k", "lrp"], "make has no lrp; it has: install install-dev demo test"),
        (["demo", "task=digit"], "make takes no task=digit; python train.py"),
        (["test", "k=lrp"], ".venv/bin/python -m pytest -k NAME runs some of the tests"),
        (["test", "tests/explain"], ".venv/bin/python -m pytest tests/explain runs those tests"),
        (["install", "TORCH_INDEX=cpu"], "TORCH_INDEX=cpu is no address; say TORCH_INDEX=https://..."),
    ],
)
def test_make_says_what_it_has(checkout, words, says):
    (checkout / "tests").mkdir(exist_ok=True)
    done = make(checkout, *words)
    assert done.returncode == 2 and says in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3", "python3.14", "python"])
def test_any_python_that_is_new_enough_will_do(checkout, name):
    for older in {"python3.11", "python3"} - {name}:
        put_python(checkout, older, fits=False)
    put_python(checkout, name)
    assert make(checkout, "install").returncode == 0
    assert (checkout / "made_by").read_text().strip() == name


@pytest.mark.parametrize("has_an_old_one", [False, True])
def test_without_a_python_it_says_which_would_do(checkout, has_an_old_one):
    if has_an_old_one:
        put_python(checkout, "python3", fits=False)
    done = make(checkout, "demo")
    assert done.returncode != 0 and not (checkout / ".venv").exists()
    assert "Auscult needs Python 3.11 or newer" in done.stdout
    assert ("python3 is Python 3.9.2" in done.stdout) == has_an_old_one
    put_python(checkout, "python2.7", fits=False)
    assert "Auscult needs Python 3.11 or newer" in make(checkout, "demo", "PYTHON=python2.7").stdout


def test_a_demo_needs_no_tools_of_the_tests(checkout):
    put_python(checkout, "python3.11")
    assert make(checkout, "demo").returncode == 0
    assert installed(checkout) == ["requirements/build.txt", "requirements/run.txt"]
    assert make(checkout, "test").returncode == 0
    assert installed(checkout) == ["requirements/dev.txt"]
    assert make(checkout, "demo").returncode == make(checkout, "test").returncode == 0
    assert installed(checkout) == []


@pytest.mark.parametrize("first", ["test", "test-all", "lint"])
def test_tests_bring_all_that_a_demo_needs(checkout, first):
    put_python(checkout, "python3.11")
    assert make(checkout, first).returncode == 0
    assert installed(checkout) == ["requirements/build.txt", "requirements/run.txt", "requirements/dev.txt"]
    assert make(checkout, "demo").returncode == 0
    assert installed(checkout) == []


def test_a_new_lock_is_installed(checkout):
    put_python(checkout, "python3.11")
    make(checkout, "test")
    installed(checkout)
    later = (checkout / ".venv/.dev-installed").stat().st_mtime + 10
    for name in ("run", "dev"):
        os.utime(checkout / f"requirements/{name}.txt", (later, later))
    make(checkout, "test")
    assert installed(checkout) == ["requirements/build.txt", "requirements/run.txt", "requirements/dev.txt"]


def test_with_wheels_of_another_index_all_but_torch_is_checked(checkout):
    """An index of CPU wheels: nothing that is made for CUDA, and torch's three packages in the lock's versions."""
    put_python(checkout, "python3.11")
    assert make(checkout, "install", "TORCH_INDEX=https://wheels.example/cpu").returncode == 0
    [torch] = [line for line in (checkout / "told").read_text().splitlines() if "wheels.example" in line]
    assert "--no-deps --index-url https://wheels.example/cpu" in torch
    run = read_lock("run")
    three = {"torch", "torchaudio", "torchvision"}
    assert set(torch.split()[-3:]) == {f"{name}=={run[name][0]}" for name in three}
    rest = (checkout / ".venv/run-without-torch.txt").read_text()
    left_out = run.keys() - set(re.findall(r"^([a-z0-9-]+)==", rest, re.MULTILINE))
    for_cuda = {name for name in run if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert left_out == three | for_cuda and len(for_cuda) > 15
    assert rest.count("--hash") == sum(len(hashes) for name, (_, hashes) in run.items() if name not in left_out)
    (checkout / "told").write_text("")
    assert make(checkout, "install", "TORCH_INDEX=").returncode == 0
    assert installed(checkout) == []
