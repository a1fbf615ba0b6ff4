"""Data sets of Hugging Face's `datasets` in each form that a folder can have, with odd rows, columns and splits."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hydra.errors import HydraException

from auscult.datamodules import hub_splits
from auscult.datamodules.clips import Clip
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.division import Division
from auscult.datamodules.hub_columns import rows_of as rows_in
from auscult.datamodules.hugging_face import HuggingFace
from auscult.mistake import Mistake, NoSuchFold
from auscult.program import complaint, config
from auscult.program.conf import chosen
from tests.program.test_config import composed

RATE = 8000
DIGITS = ("zero", "one")
TRAIN, TEST = tuple("abcdefgh"), tuple("mnop")
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded into the user's cache, and the hub is not asked."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_splits, "is_reachable", lambda: False)


def sound(hertz: float = 440, format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE), RATE, format=format)
    return file.getvalue()


def rows_of(speakers: tuple[str, ...]) -> Rows:
    """Two takes of each digit by each speaker."""
    return [
        {
            "audio": {
                "bytes": sound(300 + 500 * digit + 10 * (ord(name) - ord("a")) + take),
                "path": f"{digit}_{name}_{take}.wav",
            },
            "digit": digit, "gender": "fm"[number % 2], "speaker_id": name, "age": 20 + number,
        }
        for number, name in enumerate(speakers)
        for digit in range(len(DIGITS))
        for take in range(2)
    ]  # fmt: skip


def table_of(rows: Rows, *audio: str, classes: tuple[str, ...] = ("digit",)) -> Any:
    """A data set of these rows, with columns of recordings and of classes."""
    from datasets import Audio, ClassLabel, Dataset

    table = Dataset.from_list(rows)
    features = table.features.copy()
    features |= {name: Audio() for name in audio or ("audio",)}
    features |= {name: ClassLabel(names=list(DIGITS)) for name in classes if name in features}
    return table.cast(features)


def parquet(folder: Path, **splits: Any) -> Path:
    (folder / "data").mkdir(parents=True)
    for name, table in splits.items():
        table.to_parquet(folder / f"data/{name}-00000-of-00001.parquet")
    return folder


def saved(folder: Path, **splits: Any) -> Path:
    from datasets import DatasetDict

    DatasetDict(splits).save_to_disk(folder)
    return folder


def audiofolder(folder: Path, **splits: Rows) -> Path:
    for name, rows in splits.items():
        (folder / name).mkdir(parents=True)
        with open(folder / name / "metadata.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["file_name", "digit", "speaker_id"])
            for row in rows:
                (folder / name / row["audio"]["path"]).write_bytes(row["audio"]["bytes"])
                table.writerow([row["audio"]["path"], DIGITS[row["digit"]], row["speaker_id"]])
    return folder


def checked(folder: Path | str, *overrides: str) -> dict[str, Any]:
    return config.check(composed("data=hf", f"data.name='{folder}'", "task=label", *overrides))


def divided(folder: Path | str, *overrides: str) -> Division:
    return Division.from_config(checked(folder, *overrides))


def opened(folder: Path, tmp_path: Path, *overrides: str) -> AudioDataModule:
    module = AudioDataModule.from_config(checked(folder, f"data.cache_dir='{tmp_path / 'cache'}'", *overrides))
    module.setup()
    return module


def speakers(division: Division) -> list[set[str]]:
    return [{division.clips[i].speaker for i in part} for part in division.split]


FORMS = {
    "parquet": lambda folder: parquet(folder, train=table_of(rows_of(TRAIN)), test=table_of(rows_of(TEST))),
    "saved": lambda folder: saved(folder, train=table_of(rows_of(TRAIN)), test=table_of(rows_of(TEST))),
    "audiofolder": lambda folder: audiofolder(folder, train=rows_of(TRAIN), test=rows_of(TEST)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_folder_is_one_corpus(form: str, tmp_path: Path) -> None:
    folder = FORMS[form](tmp_path / "my sets/digits")
    module = opened(folder, tmp_path, "task.label=digit")
    assert module.classes == sorted(DIGITS)
    assert [clip.path for clip in module.clips[:2]] == ["train/0", "train/1"]
    assert module.counts()["clips/skipped"] == 0 and len(module.clips) == 48
    train, validation, test = speakers(module.division)
    assert test == set(TEST) and train | validation == set(TRAIN)
    assert validation and not train & validation
    first = module.cache.samples(0)[0]
    assert abs(np.abs(np.fft.rfft(first)).argmax() * RATE / len(first) - 300) < 10  # hertz
    again = opened(folder, tmp_path, "task.label=digit")
    assert again.cache.folder == module.cache.folder


def test_columns_become_labels(tmp_path: Path) -> None:
    rows = rows_of(TRAIN)
    rows[0] |= {"age": None, "gender": " "}
    rows[1] |= {"digit": None}
    clips = HuggingFace(str(saved(tmp_path / "set", train=table_of(rows)))).clips()
    assert clips[0] == Clip("train/0", "a", {"digit": "zero", "label": "zero"})
    assert clips[1] == Clip("train/1", "a", {"gender": "f", "sex": "female", "age": "20"})
    assert clips[-1].labels == {"digit": "one", "label": "one", "gender": "m", "sex": "male", "age": "27"}


def test_what_label_is(tmp_path: Path) -> None:
    one = parquet(tmp_path / "one", train=table_of(rows_of(TRAIN)))
    assert divided(one).classes == sorted(DIGITS)
    two = [{**row, "kind": row["digit"]} for row in rows_of(TRAIN)]
    several = parquet(tmp_path / "several", train=table_of(two, classes=("digit", "kind")))
    with pytest.raises(Mistake, match=r"needs clips labelled 'label', and this corpus has only age, digit, gender,"):
        divided(several)
    own = [{**row, "label": row["gender"]} for row in rows_of(TRAIN)]
    assert divided(parquet(tmp_path / "own", train=table_of(own))).classes == ["f", "m"]


def test_one_split_is_folds_of_speakers(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "set", train=table_of(rows_of(TRAIN)))
    tested: list[str] = []
    for fold in range(4):
        train, validation, test = speakers(divided(folder, f"fold={fold}", "task.folds=4"))
        assert not (train & validation or train & test or validation & test)
        tested += test
    assert sorted(tested) == list(TRAIN)


def test_published_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = {"train": TRAIN, "dev": ("i", "j"), "test": TEST, "invalidated": ("x", "y")}
    folder = saved(tmp_path / "all", **{name: table_of(rows_of(part)) for name, part in parts.items()})
    assert speakers(divided(folder)) == [set(TRAIN), {"i", "j"}, set(TEST)]
    assert "the splits invalidated neither train nor validate nor test, and are left out." in caplog.text
    with pytest.raises(NoSuchFold, match="fold=1 does not exist"):
        divided(folder, "fold=1")
    whole = speakers(divided(folder, "data.published_split=false"))
    assert set().union(*whole) == {name for part in parts.values() for name in part}
    two = saved(tmp_path / "two", train=table_of(rows_of(TRAIN)), validation=table_of(rows_of(TEST)))
    assert speakers(divided(two))[2] == set(TEST)


def test_rows_divided_at_random(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(TRAIN)
    folder = parquet(tmp_path / "set", train=table_of(rows[::2]), test=table_of(rows[1::2]))
    division = divided(folder)
    assert sum(map(len, division.split)) == len(rows)
    division.keep(division.clips)
    assert "accuracies say little about others; data.published_split=false makes folds of speakers" in caplog.text
    train, validation, test = speakers(divided(folder, "data.published_split=false"))
    assert not (train & validation or train & test or validation & test)


def test_the_column_of_the_speakers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(TRAIN)
    for row in rows:
        row["reader"] = "r" + row.pop("speaker_id")
    folder = parquet(tmp_path / "set", train=table_of(rows))
    assert len({clip.speaker for clip in divided(folder).clips}) == len(rows)
    assert "32 of 32 recordings name no speaker (data.speaker=… says in which column" in caplog.text
    division = divided(folder, "data.speaker=reader")
    assert set().union(*speakers(division)) == {f"r{name}" for name in TRAIN}
    with pytest.raises(Mistake, match=r"data.speaker=who is no column of names; the data set has digit, gender, age"):
        divided(folder, "data.speaker=who")
    with pytest.raises(Mistake, match=r"'reader', .* say task=label task.label=speaker"):
        divided(folder, "data.speaker=reader", "task.label=reader")
    assert divided(folder, "data.speaker=reader", "task.label=speaker").classes == [f"r{name}" for name in TRAIN]


def test_rows_without_a_recording_are_skipped(tmp_path: Path) -> None:
    rows = rows_of(TRAIN)
    elsewhere = tmp_path / "private.wav"
    elsewhere.write_bytes(sound())
    rows[3]["audio"] = {"bytes": b"RIFF" + bytes(1000), "path": "x.wav"}
    rows[4]["audio"] = None
    rows[5]["audio"] = {"bytes": None, "path": str(elsewhere)}
    rows[6]["audio"] = {"bytes": b"", "path": None}
    rows[7]["audio"] = {"bytes": None, "path": "nowhere.wav"}
    module = opened(written(tmp_path / "set", rows), tmp_path, "task.label=digit")
    reasons = dict(module.cache.skipped)
    assert list(reasons) == [f"train/{row}" for row in range(3, 8)]
    assert reasons["train/3"].startswith("not audio") and reasons["train/4"] == "empty: no bytes"
    assert reasons["train/5"] == f"unreadable: {elsewhere} is no file of the data set"
    assert reasons["train/6"] == "empty: no bytes" and reasons["train/7"] == "unreadable: no such file"


def written(folder: Path, rows: Rows) -> Path:
    """A table of Parquet as libraries other than `datasets` write it, which do not name its types."""
    import pyarrow
    from pyarrow import parquet as files

    folder.mkdir()
    files.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")
    return folder


def test_recordings_of_other_formats(tmp_path: Path) -> None:
    rows = rows_of(TRAIN)
    for row, format in zip(rows, ("FLAC", "OGG", "MP3", "AIFF"), strict=False):
        row["audio"] = {"bytes": sound(format=format), "path": None}
    module = opened(saved(tmp_path / "set", train=table_of(rows)), tmp_path)
    assert not module.cache.skipped and all(module.cache.lengths[:4] > 0)


def test_a_changed_recording_is_read_anew(tmp_path: Path) -> None:
    rows = rows_of(TRAIN)
    folder = audiofolder(tmp_path / "set", train=rows)
    before = opened(folder, tmp_path, "task.label=digit").cache.samples(0)[0].copy()
    (folder / "train" / rows[0]["audio"]["path"]).write_bytes(sound(2000))
    after = opened(folder, tmp_path, "task.label=digit").cache.samples(0)[0]
    assert len(before) and not np.array_equal(before, after[: len(before)])


def test_columns_of_recordings(tmp_path: Path) -> None:
    rows = [{**row, "noisy": row["audio"]} for row in rows_of(TRAIN)]
    folder = saved(tmp_path / "two", train=table_of(rows, "audio", "noisy"))
    with pytest.raises(Mistake, match=r"several columns of recordings: say data.audio=audio or noisy\."):
        divided(folder)
    with pytest.raises(Mistake, match=r"data.audio=digit is no column of recordings; say audio or noisy"):
        divided(folder, "data.audio=digit")
    assert len(divided(folder, "data.audio=noisy").clips) == len(rows)
    mute = tmp_path / "mute"
    mute.mkdir()
    (mute / "train.csv").write_text("text,label\nhello,1\n")
    with pytest.raises(Mistake, match=r"has no column of recordings \(Audio\), only text, label; name another one"):
        divided(mute)


def test_configurations(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name, part in (("english", TRAIN), ("german", TEST)):
        parquet(folder / name, train=table_of(rows_of(part)))
    files = [f"- config_name: {name}\n  data_files: {name}/data/train*.parquet" for name in ("english", "german")]
    (folder / "README.md").write_text("---\nconfigs:\n" + "\n".join(files) + "\n---\n# A card\n")
    with pytest.raises(Mistake, match=r"several configurations: say data.config=… with one of \['english', 'german'\]"):
        divided(folder)
    with pytest.raises(Mistake, match=r"has no configuration french: say data.config=… with one of"):
        divided(folder, "data.config=french")
    assert set().union(*speakers(divided(folder, "data.config=german"))) == set(TEST)
    with pytest.raises(Mistake, match=r"data.config=german is of no use to .*, which save_to_disk wrote; leave it out"):
        divided(saved(tmp_path / "saved", train=table_of(rows_of(TRAIN))), "data.config=german")


def test_code_of_a_data_set_is_not_run(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "mine", train=table_of(rows_of(TRAIN)))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(Mistake, match="is read by a script of its own, and no code of a data set is run"):
        divided(folder)
    assert not (tmp_path / "ran").exists()


def test_places_that_are_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.parquet").write_bytes(b"PAR1")
    for place, says in (
        (tmp_path / "empty", "cannot be opened"),
        (tmp_path / "file.parquet", "is a file; name the folder that holds it"),
        (tmp_path / "nowhere", "there is no such folder; name one, or a data set of the hub"),
        ("my/own/folder", "there is no such folder"),
    ):
        with pytest.raises(Mistake, match=f"data.name=.*{says}"):
            divided(place)


def test_a_hub_out_of_reach_is_said_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(Mistake, match=r"data.name=gilkeyio/AudioMNIST is no folder here, and the hub cannot be"):
        divided("gilkeyio/AudioMNIST", "task=digit")
    assert time.monotonic() - began < 20


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "set", train=table_of(rows_of(TRAIN)))
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(Mistake, match=r'data=hf needs the library datasets: python -m pip install "datasets>=5,<6"'):
        divided(folder)


def test_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Mistake, match=r"data.name has no value; say data.name=… to set it"):
        config.check(composed("data=hf"))
    with pytest.raises(HydraException) as caught:
        composed("data=hf", "data.speker=x")
    assert "did you mean data.speaker?" in complaint.sentence(caught.value, ["data=hf", "data.speker=x"])
    monkeypatch.chdir(tmp_path)
    Path("here/set").mkdir(parents=True)
    assert checked("here/set")["data"]["root"] == str(tmp_path / "here/set")
    data = checked("here/other")["data"]
    assert (data["name"], data["root"], chosen("data", data)) == ("here/other", "hf:here/other", "hf")
    assert chosen("data", config.check(composed("data=folder", "data.root=here"))["data"]) == "folder"


def test_lists_are_tags() -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"tags": List(Value("string")), "kinds": List(ClassLabel(names=["x", "y"]))})
    table = Dataset.from_dict({"tags": [["dog", "rain"], [], None], "kinds": [[0, 1], [1], []]}, features=features)
    assert rows_in(table, None) == [{"tags": "dog;rain", "kinds": "x;y"}, {"kinds": "y"}, {}]
