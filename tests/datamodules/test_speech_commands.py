"""Speech Commands as it is published: folders of words, and lists of what tests and validates."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.division import Division
from auscult.datamodules.folds import Split
from auscult.datamodules.speech_commands import SpeechCommands
from auscult.mistake import Mistake, NoSuchFold
from auscult.program import config
from tests.program.test_config import composed

WORDS = ("yes", "no", "on")
HASHES = [f"{number:08x}" for number in range(0x0A7C2A8D, 0x0A7C2A8D + 12)]
PART_OF = {speaker: ("test", "validation", "train", "train")[number % 4] for number, speaker in enumerate(HASHES)}
LISTS = {"test": "testing_list.txt", "validation": "validation_list.txt"}


def write(path: Path, hertz: float = 440, seconds: float = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(16000 * seconds)) / 16000)
    soundfile.write(path, samples, 16000, subtype="PCM_16")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "speech_commands_v0.02"
    named: dict[str, list[str]] = {part: [] for part in LISTS}
    for number, word in enumerate(WORDS):
        for other, speaker in enumerate(HASHES):
            for take in range(2):
                path = f"{word}/{speaker}_nohash_{take}.wav"
                write(root / path, 300 + 100 * number + 10 * other + take)
                named.get(PART_OF[speaker], []).append(path)
    write(root / "_background_noise_/running_tap.wav", seconds=3)
    (root / "_background_noise_/README.md").write_text("noise")
    for part, name in LISTS.items():
        (root / name).write_text("\n".join(named[part]) + "\n")
    (root / "README.md").write_text("## Speech Commands Data Set v0.02")
    (root / "LICENSE").write_text("Creative Commons BY 4.0")
    return root


def divided(root: Path, *overrides: str) -> Division:
    given = ["data=speech_commands", f"data.root={root}", "task=label"]
    return Division.from_config(config.check(composed(*given, *overrides)))


def test_the_lists_are_the_split(root: Path) -> None:
    division = divided(root)
    assert division.classes == sorted(WORDS)
    assert len(division.clips) == 72
    for name in Split._fields:
        members = getattr(division.split, name)
        assert {division.clips[i].speaker for i in members} == {who for who, part in PART_OF.items() if part == name}
        assert len(members) == 6 * sum(part == name for part in PART_OF.values())


def test_clips_are_as_published(root: Path, tmp_path: Path) -> None:
    given = ["data=speech_commands", f"data.root={root}", "task=label", f"data.cache_dir={tmp_path / 'cache'}"]
    module = AudioDataModule.from_config(config.check(composed(*given)))
    module.setup()
    assert module.counts()["clips/skipped"] == 0
    assert set(module.cache.lengths.tolist()) == {16000}
    batch = next(iter(module.test_dataloader()))
    assert batch["waveform"].shape[1:] == (1, 16000)


def test_there_is_one_fold(root: Path) -> None:
    with pytest.raises(NoSuchFold, match=r"fold=2 does not exist: fold=0 is the published split, and the only one"):
        divided(root, "fold=2")


def test_folds_of_speakers_instead(root: Path) -> None:
    for name in LISTS.values():
        (root / name).unlink()
    tested: list[str] = []
    for fold in range(4):
        division = divided(root, f"fold={fold}", "task.folds=4", "data.published_split=false")
        tested += {division.clips[i].speaker for i in division.split.test}
    assert sorted(tested) == HASHES


def test_some_of_the_words(root: Path) -> None:
    assert divided(root, "data.words=[yes,on]").classes == ["on", "yes"]
    with pytest.raises(Mistake, match="only the class 'yes' of the label"):
        divided(root, "data.words=[yes]")
    with pytest.raises(Mistake, match=r"data\.words names yess, which is no folder .* choose of yes\."):
        divided(root, "data.words=[yess,on]")
    with pytest.raises(Mistake, match=r"data\.words=\[True, 'up'\] is no list of words; .* in a YAML in quotes"):
        SpeechCommands(root, words=OmegaConf.to_container(OmegaConf.create("[true, up]")))  # type: ignore[arg-type]


def test_lists_that_name_more_than_is_there(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open(root / "testing_list.txt", "a") as file:
        file.write("go/0a7c2a8d_nohash_0.wav\n\n")
    assert len(divided(root).split.test) == 18
    assert "1 of 19 recordings in testing_list.txt are not there and are left out, such as go/" in caplog.text


def test_lists_of_another_system_and_recordings_of_another_format(root: Path) -> None:
    for name in LISTS.values():
        text = (root / name).read_text().replace("/", "\\").replace("\n", "\r\n")
        (root / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    for path in root.glob("*/*_nohash_*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        path.unlink()
    assert [len(part) for part in divided(root).split] == [36, 18, 18]


@pytest.mark.parametrize("name", LISTS.values())
def test_a_list_that_is_not_there(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(Mistake, match=rf"no readable {name} under data.root=.* or data\.published_split=false makes"):
        divided(root)


def test_a_speaker_in_two_lists_is_heard_in_one(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = next(speaker for speaker, part in PART_OF.items() if part == "train")
    with open(root / "testing_list.txt", "a") as file:
        file.write(f"yes/{own}_nohash_0.wav\n")
    division = divided(root)
    heard = [{division.clips[i].speaker for i in part} for part in division.split]
    assert f"{own} (test)" in heard[2] and not any(own in speaker for speaker in heard[0] | heard[1])
    division.keep(division.clips)  # which says what the first division does not
    assert "5 clips of training or validation are left out" in caplog.text


def test_other_folders(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Mistake, match=rf"no Speech Commands under .* \(say data\.root={root}\)"):
        divided(root.parent)
    with pytest.raises(Mistake, match=r"no Speech Commands under .*; data=folder reads recordings in any other layout"):
        divided(root / "yes")
    write(root / "yes/mine.wav")
    assert len(divided(root).clips) == 72
    assert "are not named as <speaker>_nohash_<number> and are left out, such as yes/mine.wav" in caplog.text


def test_who_speaks_can_be_learnt(root: Path) -> None:
    with pytest.raises(Mistake, match="training has no clips of speaker"):
        divided(root, "task.label=speaker")
    assert divided(root, "task.label=speaker", "data.published_split=false").classes == HASHES


def test_nothing_is_said_of_a_corpus_that_is_whole(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    division = divided(root)
    division.keep(division.clips)
    assert not caplog.records
