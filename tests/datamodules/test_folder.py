import logging
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from auscult.datamodules.cache import open_cache
from auscult.datamodules.clips import Clip
from auscult.datamodules.folder import Folder
from auscult.datamodules.labels.table import LARGEST
from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake

PATTERN = r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)"


def record(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(number).standard_normal(2000)
        soundfile.write(root / name, samples, 11025, format={"aif": "AIFF", "oga": "OGG"}.get(name.split(".")[-1]))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return record(tmp_path / "my clips", "1_anna_0.wav", "2_anna_0.flac", "deep/er/1_bob_0.ogg")


def mistake(folder: Folder) -> str:
    with pytest.raises(Mistake) as caught:
        folder.clips()
    return str(caught.value)


def test_labels_from_names(root: Path) -> None:
    corpus = Folder(root, pattern=PATTERN)
    assert corpus.clips() == [
        Clip("1_anna_0.wav", "anna", {"digit": "1", "take": "0"}),
        Clip("2_anna_0.flac", "anna", {"digit": "2", "take": "0"}),
        Clip("deep/er/1_bob_0.ogg", "bob", {"digit": "1", "take": "0"}),
    ]
    assert all(corpus.read(clip)[1] == 11025 for clip in corpus.clips())


def test_labels_from_folders(tmp_path: Path) -> None:
    record(tmp_path, "female/p1/a.wav", "male/p2/a.wav")
    clips = Folder(str(tmp_path), pattern=r"(?P<sex>\w+)/(?P<speaker>\w+)/").clips()
    assert [(clip.speaker, clip.labels) for clip in clips] == [("p1", {"sex": "female"}), ("p2", {"sex": "male"})]


def test_the_pattern_arrives_through_hydra_as_it_was_written(root: Path) -> None:
    [override] = OverridesParser.create().parse_overrides([f'data.pattern="{PATTERN}"'])
    assert len(Folder(root, pattern=override.value()).clips()) == 3


@pytest.mark.parametrize(
    ("written", "sex"),
    [("M", "male"), ("male", "male"), ("Man", "male"), ("f", "female"), ("FEMALE", "female"), ("woman", "female")],
)
def test_sexes_are_written_alike(tmp_path: Path, written: str, sex: str) -> None:
    record(tmp_path, f"{written}.wav")
    assert Folder(tmp_path, pattern=r"^(?P<sex>[a-zA-Z]+)\.").clips()[0].labels == {"sex": sex}


def test_other_sexes_are_left_for_the_task_to_judge(tmp_path: Path) -> None:
    record(tmp_path, "x.wav")
    assert Folder(tmp_path, pattern=r"^(?P<sex>\w)").clips()[0].labels == {"sex": "x"}


def test_every_ending_and_no_hidden_file(tmp_path: Path) -> None:
    names = ["0.WAV", "0.aif", "0.aiff", "0.au", "0.caf", "0.flac", "0.mp3", "0.oga", "0.ogg"]
    record(tmp_path, *names, ".hidden.wav", ".trash/0.wav")
    (tmp_path / "0.txt").write_text("notes")
    assert [clip.path for clip in Folder(tmp_path, pattern=r"(?P<digit>\d)").clips()] == sorted(names)


def test_what_cannot_be_decoded_is_found_to_be_listed_as_skipped(tmp_path: Path) -> None:
    record(tmp_path, "0.wav")
    (tmp_path / "1.M4A").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    corpus = Folder(tmp_path, pattern=r"(?P<digit>\d)")
    cache = open_cache(corpus, corpus.clips(), ClipSettings(), tmp_path / "cache")
    assert [clip.path for clip in cache.clips] == ["0.wav"]
    assert [path for path, _ in cache.skipped] == ["1.M4A"] and "damaged" in cache.skipped[0][1]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    record(tmp_path / "elsewhere", "1.wav")
    record(tmp_path / "root", "0.wav")
    (tmp_path / "root/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "root")
    clips = Folder(tmp_path / "root", pattern=r"(?P<digit>\d)").clips()
    assert [clip.path for clip in clips] == ["0.wav", "linked/1.wav"]


def test_recordings_without_a_speaker_count_as_one_each(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = Folder(root, pattern=r"(?P<digit>\d)_").clips()
    assert len({clip.speaker for clip in clips}) == 3
    assert "3 of 3 recordings name no speaker" in caplog.text and "folds may share voices" in caplog.text


def test_groups_that_take_no_part_are_no_labels(root: Path) -> None:
    clips = Folder(root, pattern=r"(?P<digit>\d)_(?P<speaker>\w+?)_(?P<sex>[mf])?").clips()
    assert all(clip.labels.keys() == {"digit"} for clip in clips)


def test_recordings_that_the_pattern_does_not_match_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(root, "intro.wav", "outro.wav")
    assert len(Folder(root, pattern=PATTERN).clips()) == 3
    assert "2 of 5 recordings do not match data.pattern and are left out, such as intro.wav" in caplog.text


def test_patterns_that_cannot_work(root: Path) -> None:
    assert re.search(
        r"data\.pattern=x.*none of the 3 .*such as 1_anna_0\.wav", mistake(Folder(root, pattern="x(?P<a>.)"))
    )
    assert "is not a regular expression" in mistake(Folder(root, pattern="(?P<digit"))
    for pattern in (r"\d_", r"(\d)_"):
        assert "names no label" in mistake(Folder(root, pattern=pattern))
    assert "data.pattern and data.csv are not set" in mistake(Folder(root))
    assert "data.pattern and data.csv are both set" in mistake(Folder(root, pattern=PATTERN, csv="labels.csv"))


def test_roots_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "file.wav").touch()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").touch()
    assert "does not exist" in mistake(Folder(tmp_path / "gone", pattern=PATTERN))
    assert "is not a folder" in mistake(Folder(tmp_path / "file.wav", pattern=PATTERN))
    message = mistake(Folder(tmp_path / "texts", pattern=PATTERN))
    assert "data.root=" in message and "holds no recordings" in message and ".wav" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read(root: Path) -> None:
    (root / "deep").chmod(0)
    assert re.search(r"data\.root=.* cannot be read \(Permission denied\)", mistake(Folder(root, pattern=PATTERN)))


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_from_a_table(root: Path) -> None:
    csv = table(
        root / "labels.csv",
        "path,digit,sex,speaker,room\n1_anna_0.wav,1,F,anna,\n./deep/er/1_bob_0.ogg,07,m,bob,hall\n2_anna_0.flac,NA,f,anna,\n",
    )
    wanted = [
        Clip("1_anna_0.wav", "anna", {"digit": "1", "sex": "female"}),
        Clip("2_anna_0.flac", "anna", {"digit": "NA", "sex": "female"}),
        Clip("deep/er/1_bob_0.ogg", "bob", {"digit": "07", "sex": "male", "room": "hall"}),
    ]
    assert Folder(root, csv=str(csv)).clips() == wanted
    assert Folder(root, csv="labels.csv").clips() == wanted  # beside the recordings


def test_recordings_that_the_table_does_not_name_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(root / "labels.csv", "path,digit\n1_anna_0.wav,1\n")
    assert [clip.path for clip in Folder(root, csv="labels.csv").clips()] == ["1_anna_0.wav"]
    assert "2 of 3 recordings are not in data.csv and are left out, such as 2_anna_0.flac" in caplog.text
    assert caplog.text.count("are left out") == 1


def test_a_table_from_a_spreadsheet(root: Path) -> None:
    (root / "labels.csv").write_bytes(b"\xef\xbb\xbfpath, digit\r\ndeep\\er\\1_bob_0.ogg, 1\r\n")
    assert Folder(root, csv="labels.csv").clips() == [
        Clip("deep/er/1_bob_0.ogg", "deep/er/1_bob_0.ogg", {"digit": "1"})
    ]


def test_a_table_that_names_what_is_not_there(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(root / "labels.csv", "path,digit,speaker\n1_anna_0.wav,1,anna\ngone.wav,2,anna\n../other.wav,3,anna\n")
    assert [clip.path for clip in Folder(root, csv="labels.csv").clips()] == ["1_anna_0.wav"]
    assert "2 of 3 recordings in data.csv are not there and are left out, such as ../other.wav" in caplog.text
    table(root / "labels.csv", "path,digit\nrecordings/1_anna_0.wav,1\n")
    message = mistake(Folder(root, csv="labels.csv"))
    assert "none of the 1 paths in data.csv=labels.csv, such as recordings/1_anna_0.wav, is a recording" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,digit\na.wav,1\n", "needs a column 'path' and a column per label; it has name, digit"),
        (b"path\n1_anna_0.wav\n", "needs a column 'path' and a column per label"),
        (b"", "needs a column 'path' and a column per label; it has nothing"),
        (b"path,digit\n1_anna_0.wav,1\n2_anna_0.flac,1,2\n", "is not a CSV table: row 2 does not have 2 cells"),
        (b"path,digit,sex\n1_anna_0.wav,1\n", "is not a CSV table: row 1 does not have 3 cells"),
        (b"path,digit\n\xff\xfe,1\n", "is not a CSV table in UTF-8"),
        (b'path,digit\n"1_anna_0.wav,1\n', "is not a CSV table in UTF-8"),
        (b"path,digit\n", "has no rows below its first line"),
        (b"path|text\n1_anna_0|one\n", "add their endings, as in 1_anna_0.wav"),
        (b"PK\x03\x04\xff\xfe", "save the spreadsheet's sheet as 'CSV UTF-8'"),
        (b"path;klasse\na.wav;Gr\xfc\xdfe\n", "save it as 'CSV UTF-8', as spreadsheets call it"),
        (b'{"path": "a.wav", "label": "x"}\n{"path": "b', "it looks like JSON: .* such as path,label"),
        (b'[\n  {"path": "a.wav"}\n]\n', "it looks like JSON: .* such as path,label"),
        (b"path digit speaker\n1_anna_0.wav 1 anna\n", "it has cells between blanks only: divide them by commas, semi"),
        (
            b"Selection\tView\tBegin Time (s)\tEnd Time (s)\tlabel\n1\t1\t0.5\t1\towl\n",
            "parts of recordings are not read",
        ),
        (b"start,end,label\n0,1,owl\n", "parts of recordings are not read: cut them into files of their own first"),
        (b"0.500000\t1.25\towl\n1.5\t2\tjay\n", "parts of recordings are not read"),
        (
            b"path,start,end\n1_anna_0.wav,0,1\n1_anna_0.wav,1,2\n",
            "more than once, .*: parts of recordings are not read",
        ),
        (
            b"path,digit\n1_anna_0.wav,1\n./1_anna_0.wav,2\n",
            "names paths more than once, such as 1_anna_0.wav",
        ),
    ],
)
def test_tables_that_cannot_work(root: Path, content: bytes, message: str) -> None:
    (root / "labels.csv").write_bytes(content)
    text = mistake(Folder(root, csv="labels.csv"))
    assert re.search(message, text) and "data.csv=" in text


def test_what_other_tables_have(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Common Voice's speakers, a spreadsheet's empty rows, and files whose endings are no recordings'."""
    (root / "1_anna_0.wav").rename(root / "1_anna_0.take")
    table(root / "labels.csv", "path,digit,client_id\n1_anna_0.take,1,a\n2_anna_0.flac,2,b\n,,\n")
    assert Folder(root, csv="labels.csv").clips() == [
        Clip("1_anna_0.take", "a", {"digit": "1", "client_id": "a"}),
        Clip("2_anna_0.flac", "b", {"digit": "2", "client_id": "b"}),
    ]
    assert "are not there" not in caplog.text


@pytest.mark.parametrize(
    "name", ["filename", "file_name", "File", "filepath", "audio_filepath", "audio", "wav", "Path"]
)
def test_the_path_has_other_names_too(root: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    table(root / "labels.csv", f"digit,{name}\n1,1_anna_0.wav\n")
    with caplog.at_level("INFO"):
        [clip] = Folder(root, csv="labels.csv").clips()
    assert (clip.path, clip.labels) == ("1_anna_0.wav", {"digit": "1"})
    assert f"the column {name} of data.csv=" in caplog.text and "is taken for the path" in caplog.text


def test_a_column_path_wins(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(root / "labels.csv", "file,digit,path\nx,1,1_anna_0.wav\n")
    with caplog.at_level("INFO"):
        [clip] = Folder(root, csv="labels.csv").clips()
    assert clip.path == "1_anna_0.wav" and clip.labels["file"] == "x" and "taken for the path" not in caplog.text


@pytest.mark.parametrize(
    ("given", "paths", "way_out"),
    [
        ("corpus", ["1.wav", "2.wav"], "say data.root={}/corpus/audio"),
        ("corpus/audio", ["audio/1.wav", "audio/2.wav"], "say data.root={}/corpus"),
        ("corpus/audio", ["corpus/audio/1.wav"], "say data.root={}"),
        ("corpus/audio", ["elsewhere/1.wav"], "make them relative to this folder, as in 1.wav"),
        ("corpus/audio", ["/elsewhere/corpus/audio/1.wav"], "make them relative to this folder, as in 1.wav"),
        ("corpus", ["1.wav", "3.wav"], "make them relative to this folder, as in audio/1.wav"),
        ("corpus", ["5.wav"], "make them relative to this folder"),
    ],
)
def test_where_a_table_s_paths_are_seen_from(tmp_path: Path, given: str, paths: list[str], way_out: str) -> None:
    record(tmp_path / "corpus", "audio/1.wav", "audio/2.wav", "more/3.wav", "more/4.wav")
    csv = table(tmp_path / "labels.csv", "path,digit\n" + "".join(f"{path},1\n" for path in paths))
    assert mistake(Folder(tmp_path / given, csv=csv)).endswith(": " + way_out.format(tmp_path) + ".")


def test_what_a_table_says_does_not_move_a_terminal(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(root / "labels.csv", "path,digit\n\x1b[31mred.wav,1\n1_anna_0.wav,1\n")
    Folder(root, csv="labels.csv").clips()
    assert "such as ?[31mred.wav" in caplog.text and "\x1b" not in caplog.text


def test_a_table_of_nothing_but_columns_is_refused_soon(root: Path) -> None:
    table(root / "labels.csv", "path" + "," * 10**7)
    assert "its first line has no end" in mistake(Folder(root, csv="labels.csv"))


def test_what_is_not_looked_at_is_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "notes.txt").touch()
    (root / "1_bob_0").touch()
    with caplog.at_level("INFO"):
        Folder(root, pattern=PATTERN).clips()
    assert "files that are no recordings are ignored (1 .txt, 1 no ending)." in caplog.text


def test_folders_of_speakers_within_folders_of_classes_are_said(tmp_path: Path, caplog) -> None:
    record(tmp_path, *(f"{word}/{who}/1.wav" for word in ("cat", "dog") for who in ("ada", "bob")))
    assert {clip.labels["label"] for clip in Folder(tmp_path).clips()} == {"ada", "bob"}
    assert "classes are the folders in which recordings lie (ada, …), not those above (cat, …)" in caplog.text


def test_a_table_that_is_not_there(root: Path) -> None:
    assert re.search(r"data\.csv=.*labels\.csv does not exist: say its full", mistake(Folder(root, csv="labels.csv")))
    assert "cannot be read: Is a directory" in mistake(Folder(root, csv="deep"))


@pytest.mark.parametrize(
    "content",
    ["speaker,gender,age\nanna,female,31\neve,female,\n", '{"anna": {"gender": "female", "age": 31}, "eve": {}}'],
)
def test_labels_of_speakers_join_those_of_their_recordings(root: Path, content: str, caplog) -> None:
    table(root / "people.txt", content)
    clips = Folder(root, PATTERN, speakers="people.txt").clips()
    assert {clip.speaker for clip in clips} == {"anna", "bob"}
    for clip, bare in zip(clips, Folder(root, PATTERN).clips(), strict=True):
        known = {"sex": "female", "age": "31"} if clip.speaker == "anna" else {}
        assert clip == Clip(bare.path, bare.speaker, {**known, **bare.labels})
    assert "does not list bob" in caplog.text
    alone = Folder(root, "_(?P<speaker>anna|bob)_", speakers="people.txt").clips()
    assert [clip.labels for clip in alone if clip.speaker == "anna"] == 2 * [{"sex": "female", "age": "31"}]
    table(root / "labels.csv", "path,sex,speaker\n1_anna_0.wav,male,anna\n")
    [clip] = Folder(root, csv="labels.csv", speakers="people.txt").clips()
    assert clip.labels == {"sex": "male", "age": "31"}


def test_speakers_of_whom_none_is_known(root: Path) -> None:
    record(root / "numbers", "1_01_0.wav", "1_02_0.wav")
    table(root / "people.csv", "speaker,sex\n1,f\n2,m\n")
    message = mistake(Folder(root / "numbers", PATTERN, speakers=root / "people.csv"))
    assert "lists none of the recordings' 2 speakers: its speakers are 1, 2, those of the recordings 01, 02;" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,sex\nanna,f\n", "needs a column 'speaker' and a column per label; it has name, sex"),
        ("speaker,sex\nanna,f\nanna,m\n", "names 1 speakers more than once"),
        ('{"anna": "female"}', "is not a JSON object of speakers"),
        ('{"anna": ', "is not a JSON object of speakers"),
        ('[{"speaker": "anna"}]', "is not a JSON object of speakers"),
    ],
)
def test_speakers_that_cannot_be_read(root: Path, content: str, message: str) -> None:
    table(root / "people.txt", content)
    text = mistake(Folder(root, PATTERN, speakers="people.txt"))
    assert message in text and "data.speakers=" in text
    assert "cannot be read: No such file" in mistake(Folder(root, PATTERN, speakers="nobody.csv"))


@pytest.mark.parametrize(
    "content",
    [
        "root:$6$salt$SECRET:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", "-----BEGIN KEY-----\nSECRET\n",
        "SECRET=1,SECRET=2\n", "host.org,10.0.0.1 ssh-rsa SECRET/+\n", "{SECRET: 1}", '{"a": SECRET}', "\x00SECRET",
        '{"SECRET": "SECRET"}', '"SECRET', "SECRET", "SECRET" * 40_000, "SECRET,é\n1,2,3\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["csv", "speakers"])
def test_nothing_is_shown_of_a_file_that_is_no_table(root: Path, content: str, option: str) -> None:
    (root / "secret").write_bytes(content.encode("latin-1"))
    corpus = Folder(root, csv="secret") if option == "csv" else Folder(root, PATTERN, speakers="secret")
    text = mistake(corpus)
    assert f"data.{option}=" in text and "SECRET" not in text and len(text) < 500


def test_what_is_shown_of_a_table_has_an_end(root: Path) -> None:
    many = ",".join(f"column {number}" for number in range(1000))
    table(root / "many.csv", f"{many}\n")
    assert "column 19 and 980 more" in mistake(Folder(root, csv="many.csv"))
    long = "x" * 100_000
    table(root / "long.csv", f"path,digit\n{long},1\n")
    assert len(mistake(Folder(root, csv="long.csv"))) < 1000
    assert "cannot be read: not a regular file" in mistake(Folder(root, csv="/dev/zero"))


def test_the_configuration_holds_the_arguments() -> None:
    config = yaml.safe_load(Path("conf/data/folder.yaml").read_text())
    assert config.keys() == {"name", "_target_", "root", "pattern", "csv", "speakers"}


def test_a_pattern_that_takes_for_ever_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("auscult.datamodules.folder.PATTERN_SECONDS", 0.5)
    name = "a" * 200
    soundfile.write(tmp_path / f"{name}.wav", np.zeros(100), 8000)
    started = time.monotonic()
    with pytest.raises(Mistake, match="takes too long to search"):
        Folder(tmp_path, pattern=r"(?P<digit>(a+)+)$").clips()
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("kind", ["pipe", "zero", "kmsg", "large"])
def test_a_table_has_an_end(root: Path, kind: str) -> None:
    path = root / "table.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(LARGEST + 1)
    else:
        path.symlink_to(f"/dev/{kind}")
    for corpus in (Folder(root, csv="table.csv"), Folder(root, PATTERN, speakers="table.csv")):
        assert "cannot be read" in mistake(corpus)


def test_what_a_pattern_reads_is_shown_on_a_recording(tmp_path, caplog):
    """So that somebody who has two of its groups in the wrong order sees it."""
    soundfile.write(tmp_path / "0_anna_1.wav", np.zeros(100), 8000)
    with caplog.at_level(logging.INFO):
        Folder(tmp_path, pattern=r"(?P<speaker>[^_]+)_(?P<digit>\d)").clips()
    assert "data.pattern reads 0_anna_1.wav as speaker anna, digit 1." in caplog.messages
