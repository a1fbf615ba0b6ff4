import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.urbansound8k import UrbanSound8K
from auscult.mistake import Mistake
from auscult.program import config
from tests.datamodules.test_excerpts import write_table
from tests.program.test_config import composed

RATE = 22050
# name -> hertz, seconds, rate, channels, subtype: what the tone is, and how it was recorded
RECORDINGS = {
    "mono": (500, 1.0, 44100, 1, "PCM_16"),
    "stereo": (600, 1.0, 48000, 2, "PCM_16"),
    "8 kHz": (700, 1.0, 8000, 1, "PCM_16"),
    "96 kHz, 24 bit": (800, 1.0, 96000, 2, "PCM_24"),
    "11 kHz, 8 bit": (900, 1.0, 11025, 1, "PCM_U8"),
    "float": (1000, 1.0, 24000, 1, "FLOAT"),
    "short": (1100, 0.05, 44100, 1, "PCM_16"),
    "as long as a clip": (1200, 4.0, 44100, 1, "PCM_16"),
    "long": (1300, 7.0, 16000, 1, "PCM_16"),
}  # fmt: skip


def tone(hertz: float, seconds: float, rate: int, channels: int) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave] * channels, axis=1)


def write(root: Path, excerpts: Iterable[tuple[str, int, str]]) -> Path:
    """Files and a table in UrbanSound8K's layout: for each source its fold and how its one excerpt was recorded."""
    rows = []
    for source, fold, kind in excerpts:
        name = f"{source}-3-0-0.wav"
        path = root / f"audio/fold{fold}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hertz, seconds, rate, channels, subtype = RECORDINGS.get(kind, RECORDINGS["mono"])
        samples = tone(hertz, seconds, rate, channels)
        if kind == "silent":
            samples[:] = 0
        if kind != "missing":
            soundfile.write(path, samples, rate, subtype=subtype)
        if kind == "corrupt":
            path.write_bytes(b"RIFF" + bytes(1000))
        if kind == "empty":
            path.write_bytes(b"")
        label = "siren" if int(source) % 2 else "dog_bark"
        rows.append({"slice_file_name": name, "fsID": source, "fold": str(fold), "class": label, "start": "1.5"})
    write_table(UrbanSound8K(root), rows)
    return root


def plain(folds: Iterable[int] = range(1, 11)) -> list[tuple[str, int, str]]:
    """An excerpt of each class in each fold."""
    return [(str(100 * fold + number), fold, "short") for fold in folds for number in range(2)]


def opened(root: Path, fold: int = 0, *overrides: str) -> AudioDataModule:
    data = ["data=urbansound8k", f"data.root={root}", f"fold={fold}", "task=sound"]
    module = AudioDataModule.from_config(config.check(composed(*data, *overrides)))
    module.setup()
    return module


def test_recordings_of_every_kind_become_clips_or_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = [*RECORDINGS, "silent", "missing", "corrupt", "empty"]
    root = write(tmp_path, [*plain(), *((str(5000 + i), i % 10 + 1, kind) for i, kind in enumerate(kinds))])
    soundfile.write(root / "audio/fold3/extra.wav", tone(500, 1, 8000, 1), 8000)
    module = opened(root, 0, "data.clip.short=pad")
    kind_of = {str(5000 + i): kind for i, kind in enumerate(kinds)}
    named = {kind_of[Path(path).name[:4]]: reason for path, reason in module.cache.skipped}
    assert named.pop("corrupt").startswith("not audio")
    assert named == {"silent": "silent", "missing": "unreadable: no such file", "empty": "empty: no bytes"}
    assert module.counts()["clips/skipped"] == 4
    listed = (module.cache.folder / "skipped.csv").read_text().splitlines()
    assert listed[0] == "path,reason" and len(listed) == 5
    assert "4 of 33 recordings cannot be used and are skipped" in caplog.text
    assert "1 of 33 recordings under data.root are not named in metadata/UrbanSound8K.csv" in caplog.text

    index_of = {kind_of[clip.speaker]: i for i, clip in enumerate(module.clips) if clip.speaker in kind_of}
    assert index_of.keys() == RECORDINGS.keys()
    for kind, i in index_of.items():
        hertz, seconds, _, _, _ = RECORDINGS[kind]
        samples = module.cache.samples(i)[0]
        assert len(samples) == pytest.approx(min(seconds, 4) * RATE, abs=1), kind
        assert bool(module.cache.cut[i]) == (seconds > 4), kind
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * RATE))
        assert np.argmax(spectrum) / 8 == pytest.approx(hertz, abs=1 if seconds == 1 else 10), kind
        middle = samples[len(samples) // 4 : -(len(samples) // 4)].astype(float)
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2) * 32768, rel=0.03), kind


def test_short_excerpts_are_repeated_on_demand(tmp_path: Path) -> None:
    root = write(tmp_path, plain())
    [once, *_], [repeated, *_] = (
        [module.cache.samples(i)[0] for i in range(len(module.clips))]
        for module in (opened(root, 0, f"data.clip.short={short}") for short in ("pad", "repeat"))
    )
    assert len(once) in (1102, 1103) and len(repeated) == 4 * RATE
    turns = -(-len(repeated) // len(once))
    assert np.array_equal(repeated, np.concatenate([once] * turns)[: len(repeated)])
    with pytest.raises(Mistake, match=r"data\.clip\.short=loop is neither pad .* nor repeat"):
        opened(root, 0, "data.clip.short=loop")


@pytest.mark.parametrize("fold", range(10))
def test_the_fold_after_the_tested_one_validates(tmp_path: Path, fold: int) -> None:
    speakers = opened(write(tmp_path, plain()), fold).speakers()
    test, validation = fold + 1, [2, 3, 4, 5, 6, 7, 8, 9, 10, 1][fold]
    assert speakers["test"] == [str(100 * test), str(100 * test + 1)]
    assert speakers["validation"] == [str(100 * validation), str(100 * validation + 1)]
    assert len(speakers["train"]) == 16


def test_a_fold_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"fold=10 does not exist: there are folds 0 to 9, which are the published 1 to"):
        opened(write(tmp_path, plain()), 10)


@pytest.mark.parametrize("in_the_table", [True, False])
def test_some_of_the_folds(tmp_path: Path, in_the_table: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Five folds of ten, the others gone from the disk or from the table as well."""
    root = write(tmp_path, plain())
    if not in_the_table:
        write(tmp_path, plain(range(1, 6)))
    for fold in range(6, 11):
        shutil.rmtree(root / f"audio/fold{fold}")
    module = opened(root, 0)
    assert len(module.speakers()["train"]) == 6
    assert "no clips of the published folds 6, 7, 8, 9, 10: training does without them." in caplog.text
    for fold in (4, 5, 9):  # validates on 6, tests on 6, tests on 10
        with pytest.raises(Mistake, match=rf"fold={fold}: it tests on the published fold {fold + 1} .*folds 6, 7, 8"):
            opened(root, fold)


def test_recordings_that_stay_away_do_not_make_the_cache_anew(tmp_path: Path) -> None:
    root = write(tmp_path, plain())
    gone = root / "audio/fold10/1000-3-0-0.wav"
    content = gone.read_bytes()
    gone.unlink()
    index = opened(root).cache.folder / "index.jsonl"
    made = index.stat().st_ino
    assert opened(root).cache.skipped and index.stat().st_ino == made
    gone.write_bytes(content)
    assert not opened(root).cache.skipped
