import io
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from auscult.datamodules import audiomnist
from auscult.datamodules.audiomnist import FEMALE, PUBLISHED_FOLDS, AudioMNIST
from auscult.datamodules.audiomnist_az import AudioMNISTAz
from auscult.datamodules.clips import Clip
from auscult.mistake import Mistake

SHARED = Path(os.environ.get("AUSCULT_SHARED", "../shared"))
SPEAKERS = ["01", "12", "17"]
NAMES = [f"data/{speaker}/{digit}_{speaker}_{take}.wav" for speaker in SPEAKERS for digit in "05" for take in (2, 10)]
PEOPLE = {
    "01": {"accent": "german", "age": 30, "gender": "male"},
    "12": {"accent": "German", "age": "1234", "gender": "female"},
}


def recording(file_format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(4000), 8000, format=file_format)
    return file.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def files() -> dict[str, bytes]:
    """A small copy of the repository: three speakers, one of them without metadata."""
    return {
        **dict.fromkeys(NAMES, recording()),
        "data/audioMNIST_meta.txt": json.dumps(PEOPLE).encode(),
        "data/12/notes.txt": b"some were copied",
        "README.md": b"",
        "models/AudioNet.prototxt": b"",
    }


def test_clips_are_sorted_by_speaker_digit_and_number(files: dict[str, bytes], tmp_path: Path) -> None:
    clips = AudioMNIST(write(tmp_path, files)).clips()
    assert [clip.path for clip in clips] == NAMES
    assert clips[0] == Clip("data/01/0_01_2.wav", "01", {"digit": "0", "sex": "male", "age": "30"})
    assert {clip.labels.get("sex") for clip in clips if clip.speaker == "12"} == {"female"}
    assert all(len(AudioMNIST(tmp_path).read(clip)[0]) == 4000 for clip in clips)


def test_root_may_be_the_data_folder_and_recordings_flac(files: dict[str, bytes], tmp_path: Path) -> None:
    flac = recording("FLAC")
    write(tmp_path, {name.replace(".wav", ".flac"): flac if name.endswith("wav") else b for name, b in files.items()})
    corpus = AudioMNIST(str(tmp_path / "data"))
    assert [clip.path for clip in corpus.clips()] == [name[5:].replace("wav", "flac") for name in NAMES]
    assert corpus.clips()[0].labels == {"digit": "0", "sex": "male", "age": "30"}
    assert len(corpus.read(corpus.clips()[0])[0]) == 4000


def test_speakers_without_metadata_keep_their_digit(
    files: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = AudioMNIST(write(tmp_path, files)).clips()
    assert [clip.labels for clip in clips if clip.speaker == "17"] == [{"digit": d} for d in "0055"]
    assert [record.message for record in caplog.records] == [
        "no metadata for speakers 17: tasks that need it leave them out."
    ]


def test_without_metadata_only_the_digits_are_known(
    files: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    del files["data/audioMNIST_meta.txt"]
    clips = AudioMNIST(write(tmp_path, files)).clips()
    assert all(clip.labels.keys() == {"digit"} for clip in clips)
    assert len(caplog.records) == 1 and "audioMNIST_meta.txt" in caplog.text


@pytest.mark.parametrize(
    "content", [b'{"01": {', b"[1, 2]", b'{"01": 3}', b'{"01": {"gender": ["x"]}}', b"\xff\xfe\x00"]
)
def test_metadata_that_are_not_what_they_should_be(files: dict[str, bytes], tmp_path: Path, content: bytes) -> None:
    files["data/audioMNIST_meta.txt"] = content
    with pytest.raises(Mistake, match=r"audioMNIST_meta\.txt is not the JSON file"):
        AudioMNIST(write(tmp_path, files)).clips()


@pytest.mark.parametrize("corpus", [AudioMNIST, AudioMNISTAz])
def test_nothing_there(corpus: type[AudioMNIST] | type[AudioMNISTAz], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(Mistake, match=r"data\.root") as caught:
            corpus(root).clips()
        assert corpus is AudioMNISTAz or "data.download=true" in str(caught.value)
    with pytest.raises(Mistake, match=r"data\.root=.* is not a folder"):
        corpus(tmp_path / "file").clips()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_root(files: dict[str, bytes], tmp_path: Path) -> None:
    write(tmp_path / "corpus", files)
    (tmp_path / "corpus/data").chmod(0)
    with pytest.raises(Mistake, match=r"data\.root=.* cannot be read"):
        AudioMNIST(tmp_path / "corpus").clips()


def test_published_folds_and_sexes_agree_with_each_other() -> None:
    digit, sex = ([s for group in PUBLISHED_FOLDS[task] for s in group] for task in ("digit", "sex"))
    assert sorted(digit) == [f"{number:02}" for number in range(1, 61)]
    assert Counter(speaker in FEMALE for speaker in sex) == {True: 12, False: 12}
    assert len(set(sex)) == 24 and len(FEMALE) == 12
    assert AudioMNIST("x").published_folds("age") is None


def test_the_configuration_names_the_same_archive() -> None:
    config = yaml.safe_load(Path("conf/data/audiomnist.yaml").read_text())
    assert config["url"] == audiomnist.URL


def test_az_reads_its_table(files: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {name: content for name, content in files.items() if name.endswith(".wav")})
    table = "SPK ID,0,1,2,3,4,5,6,7,8,9,Gender\n1,5,5,5,4,5,5,4,5,5,5,M\n12,4,4,5,5,5,5,5,5,5,5,F\n"
    (tmp_path / "metadata.txt").write_text(table)
    clips = AudioMNISTAz(tmp_path).clips()
    assert [clip.path for clip in clips] == NAMES
    assert {clip.speaker: clip.labels.get("sex") for clip in clips} == {"01": "male", "12": "female", "17": None}
    assert "speakers 17" in caplog.text
    assert AudioMNISTAz(tmp_path).published_folds("digit") is None


@pytest.mark.parametrize("content", ["", "SPK ID,Gender\n1,X\n", "speaker,sex\n1,M\n", "SPK ID,Gender\n1\n"])
def test_az_table_that_is_not_what_it_should_be(files: dict[str, bytes], tmp_path: Path, content: str) -> None:
    write(tmp_path, files)
    (tmp_path / "metadata.txt").write_text(content)
    if content == "":
        assert all("sex" not in clip.labels for clip in AudioMNISTAz(tmp_path).clips())
        return
    with pytest.raises(Mistake, match=r"metadata\.txt is not the CSV file of AudioMNIST_AZ"):
        AudioMNISTAz(tmp_path).clips()


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "data/audiomnist_az").is_dir(), reason="needs the recordings of AudioMNIST_AZ")
def test_az_as_it_is() -> None:
    clips = AudioMNISTAz(SHARED / "data/audiomnist_az").clips()
    assert len(clips) == len({clip.path for clip in clips}) == 3082
    sexes = {clip.speaker: clip.labels["sex"] for clip in clips}
    assert Counter(sexes.values()) == {"male": 40, "female": 19}
    assert {clip.labels["digit"] for clip in clips} == set("0123456789")
