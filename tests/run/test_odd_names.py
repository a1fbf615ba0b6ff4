"""Names that people give classes, speakers and files appear as they are, whatever they look like to a library."""

import csv
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib import font_manager
from matplotlib.figure import Figure

from auscult.datamodules.cache_entries import SKIPPED
from auscult.drawing import _say_that_fonts_lack, drawing, is_drawable, literal
from auscult.explain.report.class_section import file_names
from auscult.run import folder as run_folder
from tests.conftest import SPOKEN_PATTERN, TINY

NAMES = [
    "$\\frac$", "[red]", "[/nothing]", "</script>", "=1+1", "-dash", "two\nlines", 'a "quote"', "|", ":smile:",
    "日本語 🎉", "x" * 300, "\\", "%d {0}", "a b", "null", "../up",
]  # fmt: skip


@pytest.fixture
def odd_corpus(tmp_path: Path) -> list[str]:
    """The options of a corpus whose classes and speakers have such names."""
    random, root = np.random.default_rng(0), tmp_path / "[/clips] $x"
    root.mkdir(parents=True)
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "speaker"])
        for place, name in enumerate(NAMES):
            for speaker in ("$\\frac$", "[/s]", "c"):
                path = f"{place} [red] ${len(speaker)}$ :smile:.wav"
                soundfile.write(root / path, random.normal(0, 0.1, 2000), 8000)
                table.writerow([path, name, speaker])
    return ["data=folder", f"data.root={root}", f"data.csv={tmp_path / 'labels.csv'}", "task=label", "task.label=label"]


@pytest.mark.slow
def test_a_class_of_any_name_is_trained_and_explained(train_here, explain_here, odd_corpus, tmp_path, capsys):
    options = [option for option in TINY if not option.startswith("data.repetitions")]
    run = [*odd_corpus, *options, "model=alexnet", "explain_by=[]"]
    assert train_here(*run, "hydra.run.dir=run [red] $\\frac$") == ""
    folder = tmp_path / "run [red] $\\frac$"
    assert (folder / "confusion.png").exists()
    assert set(pd.read_csv(folder / "predictions.csv", keep_default_na=False)["label"]) <= set(NAMES)
    checkpoint = folder / "checkpoints/best.ckpt"
    assert explain_here(f"checkpoint={checkpoint}", "limit=4", "clips=2", "attribution=amplitude",
                        'target="</script>"', "perturbation.fractions=[0,0.1]", "perturbation.random_orders=0",
                        "hydra.run.dir=why") == ""  # fmt: skip
    page = (tmp_path / "why/report.html").read_text()
    assert "&lt;/script&gt;" in page and "cannot be drawn" not in capsys.readouterr().out


@pytest.mark.slow
def test_every_name_is_drawn(tmp_path):
    classes = [*NAMES, "", "\udcff", "_hidden", "$$", "$x^{"]
    counts = np.ones((len(classes), len(classes)), dtype=int)
    assert run_folder.plot_confusion(tmp_path, counts, classes, " ".join(classes)).exists()


@pytest.fixture
def matplotlibs_fonts(monkeypatch):
    """No fonts but those that come with matplotlib: DejaVu, and some of signs."""
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setitem(matplotlib.rcParams, "font.family", ["sans-serif"])
    is_drawable.cache_clear(), _say_that_fonts_lack.cache_clear()
    yield own
    is_drawable.cache_clear()


def test_letters_without_a_font_are_spelled(matplotlibs_fonts, caplog):
    assert [literal(name) for name in ("数字", "한국어", "ə", "ქართული", "Größe")] == [
        "ShuZi", "HanGugEo", "ə", "ქართული", "Größe",
    ]  # fmt: skip
    assert literal("鳥Ⓐ") == "NiaoA"  # though a font has the second
    assert caplog.text.count("letters that no font on this machine has") == 1


@pytest.mark.filterwarnings("error")
def test_a_font_that_has_the_letters_is_used(matplotlibs_fonts, tmp_path):
    run_folder.plot_confusion(tmp_path, np.ones((2, 2), int), ["Ⓐ", "数字"], "日本語 🎉")
    assert literal("Ⓐ 1") == "Ⓐ 1"  # which DejaVu has not, and STIX has
    assert matplotlib.rcParams["font.family"] == ["sans-serif", "STIXGeneral"]


def test_classes_have_files_of_their_own():
    names = ["a!", "a?", "a-1", "A", "con", "-rf", "..", "", *NAMES]
    files = file_names(names)
    assert len({name.lower() for name in files}) == len(names)
    assert all(name and not name.startswith((".", "-")) and "/" not in name for name in files)


@pytest.mark.slow
def test_what_cannot_be_drawn_costs_no_result(train_here, tmp_path, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise ValueError("no ink")

    monkeypatch.setattr(Figure, "savefig", fail)
    explain = ["callbacks=explain", "~callbacks.perturbation", "callbacks.relevance.clips=1", "attribution=amplitude"]
    assert train_here(*TINY, "model=audionet", "task=sex", *explain, "hydra.run.dir=run") == ""
    assert {"metrics.json", "predictions.csv"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert "the figure of the test cannot be drawn (ValueError: no ink)." in (tmp_path / "run/train.log").read_text()
    with pytest.raises(KeyboardInterrupt), drawing("it"):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_skipped_recordings_are_listed_though_the_cache_is_gone(train_here, spoken_folder, tmp_path, monkeypatch):
    root = shutil.copytree(spoken_folder, tmp_path / "clips")
    (root / "say-0-by-ada-9.wav").write_text("this is not audio")
    from auscult.run import training

    during = training.fit

    def without_cache(trainer, classifier, datamodule, *rest):
        shutil.rmtree(datamodule.cache.folder)
        return during(trainer, classifier, datamodule, *rest)

    monkeypatch.setattr(training, "fit", without_cache)
    assert train_here("data=folder", "data.root=clips", SPOKEN_PATTERN, "task=label", "task.label=digit",
                      "data.batch_size=6", "trainer.max_epochs=1", "model=alexnet",
                      "hydra.run.dir=run") == ""  # fmt: skip
    assert pd.read_csv(tmp_path / "run" / SKIPPED)["path"].tolist() == ["say-0-by-ada-9.wav"]
