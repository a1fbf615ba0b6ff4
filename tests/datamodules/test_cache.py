import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules.audiomnist_az import AudioMNISTAz
from auscult.datamodules.cache import Cache, has_prepared, open_cache
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.recording import ClipSettings, load
from auscult.mistake import Mistake

SHARED = Path(os.environ.get("AUSCULT_SHARED", "../shared"))
SETTINGS = ClipSettings()


class Files(Corpus):
    """All WAV files of a folder. Counts what it reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reads: list[str] = []

    def clips(self) -> list[Clip]:
        return [Clip(path.name, path.stem) for path in sorted(self.root.glob("*.wav"))]

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        self.reads.append(clip.path)
        return super().read(clip)


class PlainFiles(Corpus):
    """Likewise, read as files are."""

    def __init__(self, root: Path) -> None:
        self.root = root

    clips = Files.clips  # type: ignore[assignment]


def record(path: Path, seed: int, seconds: float = 0.5) -> None:
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(round(8000 * seconds)), 8000)


def opened(corpus: Corpus, folder: Path) -> Cache:
    return open_cache(corpus, corpus.clips(), SETTINGS, folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def corpus(tmp_path: Path) -> Files:
    root = tmp_path / "recordings"
    root.mkdir()
    for number in range(6):
        record(root / f"{number}.wav", number, 0.3 + 0.2 * number)
    return Files(root)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_recordings_beyond_what_clips_keep_are_said(
    tmp_path: Path, long: bool, subtype: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:  # read in blocks
        monkeypatch.setattr("auscult.datamodules.recording.BLOCK", 2000)
        monkeypatch.setattr("auscult.datamodules.audio.audio_file.BLOCK", 20_000)
    time_, random = np.arange(48_000) / 96_000, np.random.default_rng(0)
    sounds = {"bat": 40_000, "whale": 20, "owl": 400, "hum": 70, "edge": 3500}
    for name, hertz in sounds.items():
        samples = 0.3 * np.sin(2 * np.pi * hertz * time_) + 0.003 * random.standard_normal(len(time_)) + 0.5
        both = np.stack((samples, samples if name != "owl" else 1 - samples), 1)  # its channels cancel each other
        soundfile.write(tmp_path / f"{name}.wav", both, 96_000, subtype=subtype)
    corpus = PlainFiles(tmp_path)
    for settings, lost in (
        (
            SETTINGS,
            "2 of 5 recordings have less than 1 % of their energy left, such as bat.wav: clips keep 60 to 4000 Hz;",
        ),
        (ClipSettings(highpass_hz=None), "1 of 5 recordings"),
        (ClipSettings(sample_rate=96_000, highpass_hz=None), ""),
    ):
        caplog.clear()
        for _ in range(2):  # said while the cache is built
            open_cache(corpus, corpus.clips(), settings, tmp_path / "cache")
        assert caplog.text.count("of their energy left") == bool(lost) and lost in caplog.text


def assert_holds_what_is_there(cache: Cache, corpus: Files) -> None:
    assert cache.clips == corpus.clips()
    for i, clip in enumerate(cache.clips):
        prepared = load(Files(corpus.root), clip, SETTINGS)
        assert np.array_equal(cache.samples(i)[0], prepared.samples[0])
        assert (cache.lengths[i], cache.starts[i], cache.cut[i]) == (
            len(prepared.samples[0]), prepared.start, prepared.cut,
        )  # fmt: skip


def test_holds_prepared_clips_and_decodes_them_once(corpus: Files, tmp_path: Path) -> None:
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)
    again = opened(corpus, tmp_path / "cache")
    assert_holds_what_is_there(again, corpus)
    assert sorted(corpus.reads) == again.paths
    assert again.samples(0)[0].dtype == np.int16
    assert not again.samples(0)[0].flags.writeable


def test_untouched_clips_have_the_levels_of_their_recordings(tmp_path: Path) -> None:
    settings = ClipSettings(highpass_hz=None, trim_db=None, preparation="untouched")
    recordings = [scale * np.random.default_rng(0).standard_normal(4000) for scale in (1e-4, 0.1, 0.4)]
    for number, samples in enumerate(recordings):
        soundfile.write(tmp_path / f"{number}.wav", 0.01 + samples, 8000, subtype="FLOAT")
    corpus = Files(tmp_path)
    for _ in range(2):  # built, and read again
        cache = open_cache(corpus, corpus.clips(), settings, tmp_path / "cache")
        dataset = ClipDataset(cache, np.arange(3), np.zeros(3), 4000, lambda: np.zeros(3))
        for heard, samples in zip(dataset.__getitems__([0, 1, 2])["waveform"][:, 0], recordings, strict=True):
            np.testing.assert_array_equal(heard, (0.01 + samples).astype(np.float32))


def test_long_recordings_are_cut_and_counted(corpus: Files, tmp_path: Path) -> None:
    cache = opened(corpus, tmp_path / "cache")
    assert cache.cut.tolist() == [False, False, False, False, True, True]
    assert cache.lengths[cache.cut].tolist() == [8000, 8000]


def test_other_settings_and_other_roots_have_other_caches(corpus: Files, tmp_path: Path) -> None:
    first = opened(corpus, tmp_path / "cache")
    second = open_cache(corpus, corpus.clips(), ClipSettings(sample_rate=16000), tmp_path / "cache")
    shutil.copytree(corpus.root, tmp_path / "copy")
    third = opened(Files(tmp_path / "copy"), tmp_path / "cache")
    assert len({first.folder, second.folder, third.folder}) == 3
    assert second.lengths[0] == 2 * first.lengths[0]


def test_changed_added_and_removed_recordings_are_noticed(corpus: Files, tmp_path: Path) -> None:
    old = opened(corpus, tmp_path / "cache")
    before = [old.samples(i)[0].copy() for i in range(6)]
    record(corpus.root / "1.wav", seed=99, seconds=0.7)
    record(corpus.root / "25.wav", seed=25)
    (corpus.root / "4.wav").unlink()
    corpus.reads.clear()
    new = opened(corpus, tmp_path / "cache")
    assert sorted(corpus.reads) == ["1.wav", "25.wav"]  # the others are copied
    assert_holds_what_is_there(new, corpus)
    assert all(np.array_equal(old.samples(i)[0], before[i]) for i in range(6))  # open caches stay valid
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [new.folder.name]


def test_same_bytes_whether_copied_or_decoded(corpus: Files, tmp_path: Path) -> None:
    (corpus.root / "bad.wav").touch()
    opened(corpus, tmp_path / "updated")
    record(corpus.root / "1.wav", seed=99)
    updated, fresh = opened(corpus, tmp_path / "updated"), opened(corpus, tmp_path / "fresh")
    assert contents(updated.folder) == contents(fresh.folder)


def test_bad_recordings_are_skipped_counted_and_listed(
    corpus: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (corpus.root / "0.wav").write_bytes(b"")
    soundfile.write(corpus.root / "3, a.wav", np.zeros(8000), 8000)
    for _ in range(2):  # built, then only opened
        caplog.clear()
        cache = opened(corpus, tmp_path / "cache")
        assert cache.skipped == [("0.wav", "empty: no bytes"), ("3, a.wav", "silent")]
        assert cache.paths == ["1.wav", "2.wav", "3.wav", "4.wav", "5.wav"]
        assert [len(cache.samples(i)[0]) for i in range(5)] == cache.lengths.tolist()
        [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "2 of 7 recordings" in warning.message
        assert str(cache.folder / "skipped.csv") in warning.message
    lines = (cache.folder / "skipped.csv").read_text().splitlines()
    assert lines == ["path,reason", "0.wav,empty: no bytes", '"3, a.wav",silent']


def test_a_repaired_recording_comes_back(corpus: Files, tmp_path: Path) -> None:
    (corpus.root / "0.wav").write_bytes(b"")
    (corpus.root / "bad.wav").touch()
    assert len(opened(corpus, tmp_path / "cache").skipped) == 2
    record(corpus.root / "0.wav", seed=6)
    record(corpus.root / "bad.wav", seed=7)
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)


def test_nothing_but_bad_recordings(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    for _ in range(2):
        with pytest.raises(Mistake, match=r"none of the 1 recordings under data\.root.*bad\.wav: not audio"):
            opened(Files(tmp_path), tmp_path / "cache")


@pytest.mark.parametrize("damage", ["garbage", "torn index", "short samples", "no samples", "no index"])
def test_a_damaged_cache_is_built_again(
    corpus: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    whole = contents(folder)
    index, samples = folder / "index.jsonl", folder / "samples.int16"
    match damage:
        case "garbage":
            index.write_bytes(b"\xff\x00garbage")
        case "torn index":
            index.write_bytes(whole["index.jsonl"][:-20])
        case "short samples":
            samples.write_bytes(whole["samples.int16"][:-2])
        case "no samples":
            samples.unlink()
        case "no index":
            index.unlink()
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)
    assert "damaged" in caplog.text
    assert contents(folder) == whole


def test_flipped_bits_in_samples_are_noticed_and_mended(corpus: Files, tmp_path: Path) -> None:
    cache = opened(corpus, tmp_path / "cache")
    whole = contents(cache.folder)
    random = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(whole["samples.int16"])
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        (cache.folder / "samples.int16").write_bytes(damaged)
        with pytest.raises(Mistake, match=rf"{cache.folder} .*data\.cache_dir.* is damaged: .*\.wav.*builds the"):
            reopened = opened(corpus, tmp_path / "cache")
            for i in range(len(reopened)):
                reopened.samples(i)[0]
        assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)
        assert contents(cache.folder) == whole


def test_a_damaged_clip_is_not_copied_into_a_cache_that_is_renewed(corpus: Files, tmp_path: Path) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    with open(folder / "samples.int16", "r+b") as file:
        file.write(b"\x55\xaa")
    record(corpus.root / "9.wav", seed=9)
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)


@pytest.mark.slow
def test_what_is_flipped_in_an_index_leads_to_a_new_one(corpus: Files, tmp_path: Path) -> None:
    (corpus.root / "bad.wav").touch()
    folder = opened(corpus, tmp_path / "cache").folder
    whole = contents(folder)
    first, *_, bad = whole["index.jsonl"].splitlines(True)
    for line in (first, bad):
        begin = whole["index.jsonl"].index(line)
        for place in range(begin, begin + len(line)):
            damaged = bytearray(whole["index.jsonl"])
            damaged[place] ^= 1  # also makes another number of a number, and another letter of a letter
            (folder / "index.jsonl").write_bytes(damaged)
            cache = opened(corpus, tmp_path / "cache")
            assert contents(folder) == whole and cache.skipped == [("bad.wav", "empty: no bytes")]


@pytest.mark.parametrize(
    "line",
    [
        b'["0.wav", "1-1", 2400, 0, false, ""]\n',  # of the first version
        b'["0.wav", "1-1", -2400, 0, false, "", 0, 0]\n', b'["0.wav", "1-1", NaN, 1e400, false, "", 0, 0]\n',
        b'[1, 2, "3", {}, null, [], true, 0]\n', b"[" * 100_000 + b"\n", b"null\n", b"\n", b"\xff\xfe\x00", b"9" * 9999,
    ],
)  # fmt: skip
def test_odd_lines_of_an_index_lead_to_a_new_one(corpus: Files, tmp_path: Path, line: bytes) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    whole = contents(folder)
    lines = whole["index.jsonl"].splitlines(True)
    for odd in ([line, *lines[1:]], [*lines, line], lines[1:], [lines[1], lines[0], *lines[2:]]):
        (folder / "index.jsonl").write_bytes(b"".join(odd))
        opened(corpus, tmp_path / "cache")
        assert contents(folder) == whole


@pytest.mark.parametrize("name", ["index.jsonl", "samples.int16", "skipped.csv", ""])
@pytest.mark.parametrize("ending", ["", ".building", ".replaced"])
def test_other_things_in_the_place_of_a_caches_files(corpus: Files, tmp_path: Path, name: str, ending: str) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    if ending:
        shutil.copytree(folder, folder.with_name(folder.name + ending))
        shutil.rmtree(folder)
    place = folder.with_name(folder.name + ending) / name
    if name:
        place.unlink()
        place.mkdir()
        (place / "file").touch()
    else:
        shutil.rmtree(place)
        place.write_text("a file in the place of a folder")
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)


def test_whatever_a_corpus_raises_is_a_reason(corpus: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Files, clip: Clip) -> tuple[np.ndarray, int]:
        if clip.path == "3.wav":
            raise KeyError("no such key\nin two lines")
        return Corpus.read(self, clip)

    monkeypatch.setattr(Files, "read", read)
    cache = opened(corpus, tmp_path / "cache")
    assert cache.skipped == [("3.wav", "unreadable: KeyError: 'no such key\\nin two lines'")] and len(cache) == 5
    monkeypatch.undo()
    assert not opened(corpus, tmp_path / "cache").skipped  # it is tried again


def test_no_memory_is_no_reason(corpus: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Files, clip: Clip) -> tuple[np.ndarray, int]:
        raise MemoryError

    monkeypatch.setattr(Files, "read", read)
    with pytest.raises(Mistake, match=r"no memory left to prepare 0\.wav"):
        opened(corpus, tmp_path / "cache")


INTERRUPTED = """
import sys
from pathlib import Path
from auscult.datamodules.cache import open_cache
from auscult.datamodules.recording import ClipSettings
from tests.datamodules.test_cache import SETTINGS
from tests.datamodules.test_recording import Files
from auscult.datamodules.clips import Clip

corpus = Files(Path(sys.argv[1]))
print("ready", flush=True)
open_cache(corpus, [Clip(f"{number}.flac", "") for number in range(8)], SETTINGS, sys.argv[2])
"""


@pytest.mark.slow
def test_an_interrupted_build_does_not_wait_for_hours_of_sound(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "0.flac", "w", 48000, 1) as file:
        for _ in range(300):
            file.write(np.zeros(48000 * 60, np.int16))
    for number in range(1, 8):
        (tmp_path / f"{number}.flac").symlink_to("0.flac")
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path), str(tmp_path / "cache")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )
    assert process.stdout and process.stdout.readline() == b"ready\n"
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0


@pytest.mark.parametrize("place", ["file", "file/cache"])
def test_a_cache_folder_that_cannot_be_made(corpus: Files, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Mistake, match=r"data\.cache_dir"):
        opened(corpus, tmp_path / place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_folder_that_cannot_be_written(corpus: Files, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(Mistake, match=r"data\.cache_dir=.*Permission denied"):
        opened(corpus, tmp_path / "cache")


def test_a_finished_cache_may_lie_where_nothing_can_be_written(corpus: Files, tmp_path: Path) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    lock = folder.with_name(folder.name + ".lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()  # cannot be opened for writing, not even by root
    corpus.reads.clear()
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)
    record(corpus.root / "new.wav", 7)
    with pytest.raises(Mistake, match=r"data\.cache_dir"):
        opened(corpus, tmp_path / "cache")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(corpus: Files, tmp_path: Path) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(folder)
    building.mkdir()
    (building / "skipped.csv").symlink_to("/dev/full")
    with pytest.raises(Mistake, match=r"data\.cache_dir=.*No space left"):
        opened(corpus, tmp_path / "cache")
    (building / "skipped.csv").unlink()
    assert_holds_what_is_there(opened(corpus, tmp_path / "cache"), corpus)


SLOW_BUILD = """
import sys, time
from pathlib import Path
from tests.datamodules.test_cache import Files, opened

class Slow(Files):
    def read(self, clip):
        with open(sys.argv[3], "a") as log:
            log.write(clip.path + "\\n")
        time.sleep(0.05)
        return super().read(clip)

Slow.__name__ = "Files"
Slow.__qualname__ = "Files"
opened(Slow(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def start_slow_build(root: Path, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW_BUILD, str(root), str(folder), str(log)])


@pytest.fixture
def many(tmp_path: Path) -> Files:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(60):
        record(root / f"{number:02}.wav", number, 0.2)
    (root / "30.wav").write_bytes(b"no audio")
    return Files(root)


@pytest.mark.parametrize(
    "torn",
    [
        b'["torn',
        *(pytest.param(end, marks=pytest.mark.slow) for end in (b"", b'["00.wav", "1-1", 10, 0, false, ""]\n')),
    ],
)
def test_a_killed_build_carries_on_to_the_same_bytes(many: Files, tmp_path: Path, torn: bytes) -> None:
    uninterrupted = contents(opened(many, tmp_path / "uninterrupted").folder)
    process = start_slow_build(many.root, tmp_path / "cache", tmp_path / "log")
    deadline = time.monotonic() + 30
    finished = 0
    while finished < 5:
        assert process.poll() is None and time.monotonic() < deadline
        finished = sum(index.read_bytes().count(b"\n") for index in tmp_path.glob("cache/*.building/index.jsonl"))
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [index] = tmp_path.glob("cache/*.building/index.jsonl")
    with open(index, "ab") as file:  # what a kill in the middle of a write leaves
        file.write(torn)
    with open(index.with_name("samples.int16"), "ab") as file:
        file.write(b"abc")
    many.reads.clear()
    resumed = opened(many, tmp_path / "cache")
    assert contents(resumed.folder) == uninterrupted
    assert 0 < len(many.reads) <= 55  # the finished ones are not read again


def test_a_recording_that_changed_after_the_kill_is_read_again(many: Files, tmp_path: Path) -> None:
    folder = opened(many, tmp_path / "cache").folder
    folder.rename(folder.with_name(folder.name + ".building"))
    record(many.root / "40.wav", seed=99)
    many.reads.clear()
    cache = opened(many, tmp_path / "cache")
    assert "40.wav" in many.reads and "39.wav" not in many.reads
    assert np.array_equal(cache.samples(39)[0], load(many, many.clips()[40], SETTINGS).samples[0])  # 30 is skipped


def test_a_kill_between_the_two_renames(corpus: Files, tmp_path: Path) -> None:
    folder = opened(corpus, tmp_path / "cache").folder
    whole = contents(folder)
    shutil.copytree(folder, folder.with_name(folder.name + ".replaced"))
    folder.rename(folder.with_name(folder.name + ".building"))
    corpus.reads.clear()
    assert contents(opened(corpus, tmp_path / "cache").folder) == whole
    assert corpus.reads == []


@pytest.mark.slow
def test_two_processes_build_once(many: Files, tmp_path: Path) -> None:
    processes = [start_slow_build(many.root, tmp_path / "cache", tmp_path / "log") for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert sorted((tmp_path / "log").read_text().split()) == [clip.path for clip in many.clips()]


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "data/audiomnist_az").is_dir(), reason="needs the recordings of AudioMNIST_AZ")
def test_real_recordings(tmp_path: Path) -> None:
    corpus = AudioMNISTAz(SHARED / "data/audiomnist_az")
    clips = corpus.clips()[::5]
    cache = open_cache(corpus, clips, ClipSettings(seconds=10), tmp_path)
    seconds = cache.lengths / 8000
    assert not cache.skipped
    assert np.median(seconds) == pytest.approx(0.54, abs=0.04)
    assert np.mean(seconds <= 1) >= 0.95
    # Recordings are offset by about -2800; filtered and trimmed, next to nothing of it is left.
    assert max(abs(float(cache.samples(i)[0].mean())) for i in range(len(cache))) < 60


def test_what_was_prepared_is_known_by_its_name(corpus: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up where recordings are said to lie: that may be on a machine that a file has chosen."""
    (tmp_path / "linked").symlink_to(corpus.root)
    linked, elsewhere = Files(tmp_path / "linked"), Files(tmp_path / "net/evil")
    assert not has_prepared(corpus, SETTINGS, tmp_path / "cache")
    open_cache(corpus, corpus.clips(), SETTINGS, tmp_path / "cache")
    assert has_prepared(corpus, SETTINGS, tmp_path / "cache") and not has_prepared(linked, SETTINGS, tmp_path / "cache")
    open_cache(linked, linked.clips(), SETTINGS, tmp_path / "cache")
    asked: list[str] = []
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path, **how: (asked.append(str(path)), real(path, **how))[1])
    assert has_prepared(linked, SETTINGS, tmp_path / "cache")
    assert not has_prepared(elsewhere, SETTINGS, tmp_path / "cache")
    assert not any("evil" in path or "linked" in path for path in asked)
