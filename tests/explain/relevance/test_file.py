import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from auscult.explain.relevance.file import RelevanceFile, check_own
from auscult.mistake import Mistake

ROWS, SHAPE = 7, (1, 5)
KNOWN = {"path": [f"ü/{i}.wav" for i in range(ROWS)], "label": np.arange(ROWS)}


def float32(*shape: int) -> np.dtype[Any]:
    return np.dtype((np.float32, shape))


COLUMNS = {"relevance": float32(*SHAPE), "curves/random": float32(3), "logit": float32()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    RelevanceFile.create(
        tmp_path / "relevance.h5",
        COLUMNS,
        KNOWN,
        {"classes": ["a"]},
    )
    return tmp_path / "relevance.h5"


def row(number: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(number)
    values = {"relevance": draw.random((1, *SHAPE)), "curves/random": draw.random((1, 3)), "logit": draw.random(1)}
    return {name: value.astype(np.float32) for name, value in values.items()}


def fill(path: Path, rows: list[int]) -> None:
    file = RelevanceFile(path)
    for number in rows:
        file.fill(np.array([number]), row(number))
    file.close()


def assert_filled(path: Path, rows: list[int]) -> None:
    with h5py.File(path, "r") as file:
        assert np.flatnonzero(file["done"][:]).tolist() == rows
        for number in rows:
            for name, value in row(number).items():
                assert np.array_equal(file[name][number], value[0])
        assert file["attribution"] == file["relevance"] and file["relevance"].shape == (ROWS, *SHAPE)
        assert file["path"].asstr()[:].tolist() == KNOWN["path"] and file["label"][:].tolist() == list(range(ROWS))
        assert list(file.attrs["classes"]) == ["a"]


def test_speakers_by_the_thousand_are_classes(tmp_path: Path) -> None:
    names = [f"speaker {number} with a long name" for number in range(8000)]
    RelevanceFile.create(tmp_path / "it.h5", COLUMNS, KNOWN, {"classes": names})
    fill(tmp_path / "it.h5", [1, 0])
    with h5py.File(tmp_path / "it.h5") as file:
        assert list(file.attrs["classes"]) == names and file["done"][:2].all()


def test_rows_are_filled_in_any_order(path: Path) -> None:
    assert not RelevanceFile(path).done.any()
    fill(path, [5, 0, 2])
    assert_filled(path, [0, 2, 5])
    assert RelevanceFile(path).done.tolist() == [True, False, True, False, False, True, False]
    fill(path, [1, 3, 4, 6])
    assert_filled(path, list(range(ROWS)))


def test_several_rows_at_once(path: Path) -> None:
    parts = [row(number) for number in (1, 4)]
    file = RelevanceFile(path)
    file.fill(np.array([1, 4]), {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    assert_filled(path, [1, 4])


def test_two_processes_fill_one_file(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=fill, args=(path, rows)) for rows in ([0, 2, 4, 6], [1, 3, 5])]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert_filled(path, list(range(ROWS)))


def test_a_killed_process_leaves_a_file_that_can_be_filled_on(path: Path) -> None:
    script = (
        "import sys, pathlib, os, signal; from tests.explain.relevance import test_file as t;"
        "t.fill(pathlib.Path(sys.argv[1]), [0, 1]); f = t.RelevanceFile(pathlib.Path(sys.argv[1]));"
        "f.fill(t.np.array([2]), t.row(2)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], env={**os.environ, "PYTHONPATH": "."})
    assert killed.returncode == -signal.SIGKILL
    assert_filled(path, [0, 1, 2])
    fill(path, [3, 4, 5, 6])
    assert_filled(path, list(range(ROWS)))


def test_values_of_another_shape_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        RelevanceFile(path).fill(np.array([0]), {"relevance": np.zeros((1, 1, 6))})


def test_without_room_for_all_rows_there_is_no_file(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys, pathlib; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from tests.explain.relevance import test_file as t; F = t.RelevanceFile\n"
        "try: F.create(pathlib.Path(sys.argv[1]), {'relevance': t.float32(100_000)}, {'label': [1, 2]}, {})\n"
        "except OSError as error: print('said', error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "relevance.h5")],
        env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.startswith("said"), run.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_leads_elsewhere_is_refused(tmp_path):
    secret, path = tmp_path / "secret.h5", tmp_path / "relevance.h5"
    with h5py.File(secret, "w") as file:
        file["relevance"] = np.ones(3)
    (tmp_path / "raw").write_bytes(bytes(24))

    def link(file):
        file["group/relevance"] = h5py.ExternalLink(str(secret), "/relevance")

    def external(file):
        file.create_dataset("relevance", (3,), "f8", external=[(str(tmp_path / "raw"), 0, 24)])

    def virtual(file):
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "relevance", (3,))
        file.create_virtual_dataset("relevance", layout)

    for write in (link, external, virtual):
        with h5py.File(path, "w") as file:
            write(file)
        with pytest.raises(Mistake, match="leads to other files"):
            check_own(path)
    with h5py.File(path, "w") as file:
        for number in range(1100):
            file.create_group(f"a/{number}")
        external(file.create_group("a/z"))
    with pytest.raises(Mistake, match="groups without end"):
        check_own(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("relevance", (2, 1, 60_000, 60_000), "f4", compression="gzip")
    with pytest.raises(Mistake, match="more than its size"):
        check_own(path)
    with h5py.File(path, "w") as file:
        file["relevance"] = np.ones(3)
        file["attribution"] = h5py.SoftLink("/relevance")
    check_own(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(Mistake, match="cannot be read"):
        check_own(path)


def test_strings_of_any_length_are_not_read(tmp_path: Path) -> None:
    """All of them may lead to one that is longer than any memory divided by their number."""
    with h5py.File(tmp_path / "relevance.h5", "w") as file:
        file.create_dataset("path", data=["a", "b"], dtype=h5py.string_dtype())
    with pytest.raises(Mistake, match="of an earlier version"):
        check_own(tmp_path / "relevance.h5")


def test_names_come_back_as_they_were(tmp_path: Path) -> None:
    names = ["", "\u00e4" * 300, "no\udcff UTF-8"]
    RelevanceFile.create(tmp_path / "relevance.h5", {}, {"path": names}, {})
    check_own(tmp_path / "relevance.h5")
    with h5py.File(tmp_path / "relevance.h5") as file:
        assert file["path"].asstr(errors="surrogateescape")[:].tolist() == names
