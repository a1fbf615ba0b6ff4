"""What a refused run leaves, and what becomes of what was there before it."""

from pathlib import Path

from auscult.explain.at_end import make_room


def test_a_refused_run_leaves_no_folder(train_here, tmp_path):
    assert "fold=99 does not exist" in train_here("fold=99")
    assert not list(tmp_path.glob("outputs/*/*"))


def test_what_was_there_before_stays(train_here, tmp_path):
    named = tmp_path / "2026-01-01/10-00-00"
    (named / ".hydra").mkdir(parents=True)
    (named / ".hydra/notes.txt").write_text("important")
    assert "fold=99 does not exist" in train_here("fold=99", f"hydra.run.dir={named}")
    assert (named / ".hydra/notes.txt").read_text() == "important"


def test_only_an_explanation_of_before_is_replaced(tmp_path: Path) -> None:
    own = tmp_path / "explanation/random"
    make_room(own)
    (own / "config.yaml").touch()
    make_room(own)
    assert not any(own.iterdir())
    (own / "notes.txt").write_text("mine")
    make_room(own)
    assert not any(own.iterdir()) and (tmp_path / "explanation/random-1/notes.txt").read_text() == "mine"
    own.rmdir()
    own.write_text("a file")
    make_room(own)
    assert own.is_dir() and (tmp_path / "explanation/random-2").read_text() == "a file"
    (own / "config.yaml").touch()
    (own / ".hydra").mkdir()  # started by its user
    make_room(own)
    assert (tmp_path / "explanation/random-3/config.yaml").exists()
