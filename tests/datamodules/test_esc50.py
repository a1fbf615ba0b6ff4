import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.esc50 import ESC50
from auscult.mistake import Mistake
from auscult.program import config
from tests.datamodules.test_excerpts import record, write_table
from tests.program.test_config import composed

SHARED = Path(os.environ.get("AUSCULT_SHARED", "../shared"))
CLASSES = ["dog", "rain", "sheep"]


def opened(root: Path, *overrides: str) -> AudioDataModule:
    data = ["data=esc50", f"data.root={root}", "task=sound"]
    module = AudioDataModule.from_config(config.check(composed(*data, *overrides)))
    module.setup()
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sources of each class in each of five folds; the first of them is cut into two excerpts."""
    rows = []
    for fold in range(1, 6):
        for target, category in enumerate(CLASSES):
            for number, take in ((1, "A"), (1, "B"), (2, "A")):
                source = str(100 * fold + 10 * target + number)
                name = f"{fold}-{source}-{take}-{target}.wav"
                esc10 = str(category != "sheep")
                rows.append(
                    {"filename": name, "fold": str(fold), "category": category, "esc10": esc10, "src_file": source}
                )
                record(tmp_path / "ESC-50/audio" / name)
    write_table(ESC50(tmp_path / "ESC-50"), rows)
    return tmp_path / "ESC-50"


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_tests_on_the_published_one_and_validates_on_the_next(
    root: Path, fold: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        module = opened(root, f"fold={fold}")
    test, validation = fold + 1, [2, 3, 4, 5, 1][fold]
    assert f"fold={fold} tests on the published fold {test}, validates on {validation}" in caplog.messages
    parts = {"test": {test}, "validation": {validation}, "train": {1, 2, 3, 4, 5} - {test, validation}}
    for name, folds in parts.items():
        paths = [module.clips[i].path for i in getattr(module.split, name)]
        assert len(paths) == 9 * len(folds)
        assert {int(Path(path).name[0]) for path in paths} == folds
    assert module.classes == CLASSES


def test_esc10_is_a_part_with_a_cache_of_its_own(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    all_of_it, part = opened(root), opened(root, "data.esc10=true")
    assert part.classes == ["dog", "rain"] and len(part.clips) == 30
    assert all(clip in all_of_it.clips for clip in part.clips)
    assert part.cache.folder != all_of_it.cache.folder
    assert "not named" not in caplog.text  # the table names the others, too
    (root / "meta/esc50.csv").write_text((root / "meta/esc50.csv").read_text().replace("True", "False"))
    with pytest.raises(Mistake, match="names no recordings of ESC-10"):
        opened(root, "data.esc10=true")


def test_a_fold_that_does_not_exist(root: Path) -> None:
    with pytest.raises(
        Mistake, match=r"fold=5 does not exist: there are folds 0 to 4, which are the published 1 to 5\.$"
    ):
        opened(root, "fold=5")


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "data/esc10").is_dir(), reason="needs the recordings of ESC-10")
def test_esc10_as_it_is(cache_dir: Path) -> None:
    corpus = ESC50(SHARED / "data/esc10", esc10=True)
    clips = corpus.clips()
    assert len(clips) == len({clip.path for clip in clips}) == 400
    assert set(Counter(clip.labels["class"] for clip in clips).values()) == {40}
    fold_of = {source: fold for fold, group in enumerate(corpus.published_folds("sound"), 1) for source in group}
    assert all(Path(clip.path).name.startswith(f"{fold_of[clip.speaker]}-{clip.speaker}-") for clip in clips)
    assert set(Counter(fold_of[clip.speaker] for clip in clips).values()) == {80}

    tested: Counter[str] = Counter()
    for fold in range(5):
        module = opened(corpus.root, "data.esc10=true", f"fold={fold}")
        assert not module.cache.skipped and len(module.classes) == 10
        sources = [set(names) for names in module.speakers().values()]
        assert sum(map(len, sources)) == len(set().union(*sources)) == len(fold_of)
        tested.update(module.clips[i].path for i in module.split.test)
    assert tested == Counter(clip.path for clip in clips)
    assert np.all(module.cache.lengths <= 4 * 22050) and np.median(module.cache.lengths) == 4 * 22050
