"""The recording page: what is kept and how, what is refused, and what a crash or a full disk leaves."""

import errno
import io
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from auscult.datamodules.audiomnist import AudioMNIST
from auscult.mistake import Mistake
from auscult.serve.record.app import application
from auscult.serve.record.corpus import RecordingFolder
from auscult.serve.upload import MOST_BYTES
from tests.conftest import full_disk
from tests.serve.record.test_take import spoken

ADA = {
    "consent": True, "pseudonym": "Ada", "age": "36", "gender": "female", "accent": " British\tEnglish ",
    "native speaker": "yes", "origin": "Europe, England, London", "recordingroom": "",
}  # fmt: skip


def folder_of(root, words=("0", "1"), repetitions=2):
    return RecordingFolder(root, list(words), repetitions)


def visitor_of(folder):
    return TestClient(application(folder), base_url="http://127.0.0.1:8000")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "corpus"


@pytest.fixture
def visitor(root):
    return visitor_of(folder_of(root))


def begin(visitor, **more):
    told = visitor.post("/sessions", json=ADA | more)
    assert told.status_code == 201, told.text
    return told.json()["link"]


def sound_of(samples):
    soundfile.write(file := io.BytesIO(), samples, 48000, format="WAV")
    return file.getvalue()


def sound(**how):
    return sound_of(spoken(**how))


def keep(visitor, link, place=None, content=None):
    place = visitor.get(f"{link}/state").json()["next"][0]["place"] if place is None else place
    return visitor.post(f"{link}/keep", params={"place": place}, content=content or sound())


def files_of(root):
    paths = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return paths - {".lock", "sessions/last", "sessions/key", "sessions/deleted"}


def test_a_whole_session_is_read_back_as_audiomnist(visitor, root):
    link = begin(visitor)
    prompts = []
    while upcoming := (state := visitor.get(f"{link}/state").json())["next"]:
        assert (state["done"], state["total"], len(upcoming)) == (len(prompts), 4, 4 - len(prompts))
        prompts.append(upcoming[0]["word"])
        assert keep(visitor, link).status_code == 200
    assert sorted(prompts[:2]) == sorted(prompts[2:]) == ["0", "1"]
    clips = AudioMNIST(root).clips()
    assert [clip.path for clip in clips] == [f"data/01/{digit}_01_{index}.wav" for digit in "01" for index in "01"]
    assert {(clip.speaker, clip.labels["digit"], clip.labels["sex"]) for clip in clips} == {
        ("01", "0", "female"), ("01", "1", "female"),
    }  # fmt: skip
    for clip in clips:
        info = soundfile.info(root / clip.path)
        assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", "PCM_16", 48000, 1)
        assert info.duration == pytest.approx(0.5, abs=0.06)
    about = json.loads((root / "data/audioMNIST_meta.txt").read_text())["01"]
    assert len(about.pop("recordingdate").split("-")) == 6
    assert about == {"age": 36, "gender": "female", "accent": "British English", "native speaker": "yes",
                     "origin": "Europe, England, London"}  # fmt: skip


def test_what_is_shown_is_what_is_kept(visitor, root):
    link, content = begin(visitor), sound()
    shown = visitor.post(f"{link}/take", content=content).json()
    assert not list(root.glob("data/*")), "nothing is kept before the speaker says so"
    keep(visitor, link, content=content)
    [path] = root.glob("data/01/*.wav")
    heard = visitor.get(f"{link}/state").json()
    assert heard["done"] == 1 and shown["sound"].startswith("data:audio/wav;base64,")
    assert 0.25 < shown["start"] < 0.36 < 0.5 < shown["stop"] < 0.6
    assert soundfile.info(path).duration == pytest.approx(shown["seconds"], abs=1e-3)


def test_the_pseudonym_stays_apart(visitor, root):
    link = begin(visitor, pseudonym="Nightingale")
    keep(visitor, link)
    told = [path for path in root.rglob("*") if path.is_file() and b"Nightingale" in path.read_bytes()]
    assert told == [root / "sessions/01.json"] and told[0].parent.stat().st_mode & 0o77 == 0


def test_speakers_get_the_next_free_number(root):
    (root / "data/01").mkdir(parents=True)
    (root / "data/audioMNIST_meta.txt").write_text('{"02": {"age": "1234", "gender": "male"}}')
    visitor = visitor_of(folder_of(root))
    links = [begin(visitor) for _ in range(2)]
    for link in links:
        keep(visitor, link)
    assert {path.name for path in root.glob("data/*/")} == {"01", "03", "04"}
    people = json.loads((root / "data/audioMNIST_meta.txt").read_text())
    assert people["02"] == {"age": "1234", "gender": "male"} and people.keys() == {"02", "03", "04"}


def test_a_corpus_of_999_speakers_is_full_until_one_deletes_all(visitor, root):
    for number in range(1, 999):
        (root / f"data/{number:02d}").mkdir()
    link, late = begin(visitor), begin(visitor)
    assert keep(visitor, link).is_success and (root / "sessions/999.json").exists()
    for told in (visitor.post("/sessions", json=ADA), keep(visitor, late)):
        assert told.status_code == 422 and told.json()["error"] == "This corpus is full: it has 999 speakers."
    assert visitor_of(folder_of(root)).get(link).is_success
    assert visitor.delete(link).is_success
    assert keep(visitor, late).is_success and (root / "sessions/999.json").exists()
    assert visitor.get(link).status_code == 404


def test_forms_without_a_word_take_no_number_and_no_room(visitor, root):
    first = begin(visitor)
    before = files_of(root)
    folder = folder_of(root)
    assert len({folder.begin(ADA).token for _ in range(1100)}) == 1100 and files_of(root) == before == set()
    later = visitor_of(folder_of(root))
    assert keep(later, first).is_success and list(root.glob("data/*/")) == [root / "data/01"]


def test_an_earlier_programs_sessions_without_a_word_give_their_numbers_back(root):
    """Each session had a number from the beginning. Its link still leads to it."""
    folder_of(root)
    for number in range(1, 1000):
        session = {"token": f"secret {number}", "pseudonym": "Ada", "about": {}, "order": [["0", 0], ["1", 0]]}
        (root / f"sessions/{number:02d}.json").write_text(json.dumps(session))
    (root / "sessions/last").write_text("999")
    visitor = visitor_of(folder_of(root))
    for link in (begin(visitor), "/session/secret 777"):
        assert keep(visitor, link).is_success
    assert {path.name for path in root.glob("data/*/")} == {"01", "02"}
    assert json.loads((root / "sessions/02.json").read_text())["token"] == "secret 777"
    assert visitor.get("/session/secret 5/state").json()["done"] == 0


def test_first_words_at_once_get_numbers_of_their_own(visitor, root):
    links = [begin(visitor) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        folders = [folder_of(root) for _ in range(2)]  # two programs
        keeping = [pool.submit(folders[n % 2].keep, link.split("/")[-1], 0, sound()) for n, link in enumerate(links)]
        assert [one.result() for one in keeping] == 20 * [None]
    assert len(list(root.glob("data/*/*.wav"))) == len(list(root.glob("data/*/"))) == 20
    assert [visitor.get(f"{link}/state").json()["done"] for link in links] == 20 * [1]


def test_a_crash_before_the_first_word_is_there_costs_no_number(visitor, root, monkeypatch):
    link = begin(visitor)
    with monkeypatch.context() as patch:
        patch.setattr("auscult.serve.record.corpus.settle", None)
        patch.setattr("auscult.serve.record.corpus.file_name", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            folder_of(root).keep(link.split("/")[-1], 0, b"RIFF")
    assert (root / "sessions/01.json").exists() and "01" in (root / "data/audioMNIST_meta.txt").read_text()
    later = visitor_of(folder_of(root))
    assert not (root / "data/01").exists() and (root / "data/audioMNIST_meta.txt").read_text() == "{}"
    assert keep(later, link).is_success and later.get(f"{link}/state").json()["done"] == 1
    assert len(list(root.glob("sessions/*.json"))) == 1


@pytest.mark.parametrize("name", ["0_01_0.flac", "0_01_0.WAV", "notes.txt"])
def test_whatever_is_made_of_recordings_keeps_the_number(visitor, root, name):
    link = begin(visitor)
    keep(visitor, link)
    for path in list(root.glob("data/01/*.wav")):
        path.rename(path.with_name(name))
    before = (root / "data/audioMNIST_meta.txt").read_text()
    later = visitor_of(folder_of(root))
    assert (root / "data/audioMNIST_meta.txt").read_text() == before and "01" in before
    assert later.delete(link).is_success
    assert not (root / "data/01").exists() and (root / "data/audioMNIST_meta.txt").read_text() == "{}"


@pytest.mark.parametrize("change", [lambda link: link[:-1] + "x", lambda link: link.replace("/session/", "/session/A")])
def test_nobody_writes_a_link_of_their_own(visitor, change):
    link = begin(visitor)
    assert visitor.get(link).is_success and visitor.get(change(link)).status_code == 404


def test_a_link_without_a_word_leads_nowhere_once_other_words_are_asked_for(visitor, root):
    """A page that is still open would ask for one word, and keep it as another."""
    link = begin(visitor)
    other = visitor_of(folder_of(root, ["7"], 9))
    assert other.get(link).status_code == keep(other, link, 0).status_code == 404
    assert visitor_of(folder_of(root)).get(link).is_success


def test_the_number_of_a_deleted_speaker_is_given_to_nobody_else_while_there_are_others(visitor, root):
    link = begin(visitor)
    keep(visitor, link)
    visitor.delete(link)
    visitor = visitor_of(folder_of(root))
    keep(visitor, begin(visitor))
    assert [path.name for path in root.glob("data/*/")] == ["02"]


def test_a_link_that_was_deleted_before_the_first_word_is_dead(visitor, root):
    link = begin(visitor)
    assert visitor.delete(link).is_success
    assert visitor.get(link).status_code == keep(visitor, link, 0).status_code == 404 and not files_of(root)


def test_every_order_is_another_and_holds_every_word_as_often(root):
    folder = folder_of(root, "0123456789", 3)
    orders = [folder.begin(ADA).order for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    for order in orders:
        assert Counter(word for word, _ in order) == dict.fromkeys("0123456789", 3) and len(set(order)) == 30


def test_a_session_goes_on_after_a_restart(visitor, root):
    link = begin(visitor)
    keep(visitor, link)
    before = visitor.get(f"{link}/state").json()
    session = json.loads((root / "sessions/01.json").read_text())
    later = visitor_of(folder_of(root, ["7"], 9))  # with other words for new speakers
    assert later.get(f"{link}/state").json() == before
    keep(later, link)
    assert [(root / f"data/01/{word}_01_{index}.wav").exists() for word, index in session["order"]] == [
        True, True, False, False,
    ]  # fmt: skip
    assert later.get(link).is_success and "Ada" in later.get(link).text


def test_a_series_is_cut_shown_and_kept_piece_by_piece(visitor, root):
    link = begin(visitor)
    content = sound_of(np.concatenate([spoken(level=level) for level in (0.2, 0.4, 0.3)]))
    told = visitor.post(f"{link}/series", content=content).json()
    assert len(told) == 3 and all(piece["seconds"] == pytest.approx(0.5, abs=0.06) for piece in told)
    for piece, place in ((2, 0), (0, 3)):
        assert visitor.post(f"{link}/keep", params={"place": place, "piece": piece}, content=content).is_success
    order = json.loads((root / "sessions/01.json").read_text())["order"]
    for level, (word, index) in ((0.3, order[0]), (0.2, order[3])):
        kept = soundfile.read(root / f"data/01/{word}_01_{index}.wav")[0]
        assert kept.max() == pytest.approx(level, abs=2e-3)
    assert [following["place"] for following in visitor.get(f"{link}/state").json()["next"]] == [1, 2]
    for piece in (3, -1):
        refused = visitor.post(f"{link}/keep", params={"place": 1, "piece": piece}, content=content)
        assert refused.status_code == 422 and "has no piece" in refused.json()["error"]


def test_a_word_sent_twice_counts_once(visitor, root):
    link = begin(visitor)
    assert keep(visitor, link, 0).status_code == 200
    told = keep(visitor, link, 0)
    assert told.status_code == 409 and "kept already" in told.json()["error"]
    assert keep(visitor, link, 4).status_code == 409 and keep(visitor, link, -1).status_code == 409
    assert visitor.get(f"{link}/state").json()["done"] == 1


@pytest.mark.parametrize("where", ["replace", "fsync"])
def test_a_crash_before_the_rename_leaves_nothing_half(visitor, root, monkeypatch, where):
    link = begin(visitor)
    keep(visitor, link)
    before = files_of(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, where, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            folder_of(root).keep(link.split("/")[-1], 1, b"RIFF")
    assert files_of(root) == before
    assert keep(visitor, link).json()["done"] == 2


def test_what_a_killed_program_left_is_swept(visitor, root):
    link = begin(visitor)
    keep(visitor, link)
    before = files_of(root)
    for place in ("data", "data/01", "sessions"):
        (root / place / ".0123456789abcdef.unfinished").write_bytes(b"RIFF")
    folder_of(root)
    assert files_of(root) == before


def test_a_full_disk_is_said_and_loses_nothing(visitor, root):
    link, another = begin(visitor), begin(visitor)
    keep(visitor, link)
    before = {path: (root / path).read_bytes() for path in files_of(root)}
    with full_disk():
        for told in (keep(visitor, link), keep(visitor, another)):
            assert told.status_code == 507
            assert told.json()["error"] == (
                "The disk did not take this (File too large); what was kept before is safe, and you can try again."
            )
    assert {path: (root / path).read_bytes() for path in files_of(root)} == before
    assert keep(visitor, link).status_code == 200


def test_deleting_removes_everything_of_one_speaker_and_nothing_else(visitor, root):
    links = [begin(visitor, pseudonym=name) for name in ("Ada", "Bela")]
    for link in links:
        keep(visitor, link)
        keep(visitor, link)
    of_bela = {path for path in files_of(root) if "02" in path}
    assert visitor.delete(links[0]).is_success
    assert files_of(root) == of_bela | {"data/audioMNIST_meta.txt"}
    assert not (root / "data/01").exists()
    assert json.loads((root / "data/audioMNIST_meta.txt").read_text()).keys() == {"02"}
    assert visitor.get(links[0]).status_code == visitor.delete(links[0]).status_code == 404
    assert keep(visitor, links[0], 2).status_code == 404 and not (root / "data/01").exists()


def test_an_interrupted_deletion_can_be_finished(visitor, root, monkeypatch):
    link = begin(visitor)
    keep(visitor, link)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        assert visitor.delete(link).status_code == 507
    assert visitor.delete(link).is_success
    assert files_of(root) == {"data/audioMNIST_meta.txt"}


@pytest.mark.parametrize("token", ["nobody", "01", "..%2f..%2fdata", "01.json", "%00", "é", "x" * 5000])
def test_a_wrong_link_leads_nowhere(visitor, token):
    begin(visitor)
    page = visitor.get(f"/session/{token}")
    assert page.status_code == 404
    for told in (
        visitor.get(f"/session/{token}/state"), visitor.post(f"/session/{token}/take", content=sound()),
        visitor.post(f"/session/{token}/keep?place=0", content=sound()), visitor.delete(f"/session/{token}"),
    ):  # fmt: skip
        assert told.status_code == 404


def test_paths_in_answers_go_nowhere(visitor, root, tmp_path):
    link = begin(visitor, pseudonym="../../evil", speaker="../../evil", order=[["../evil", 0]], token="known")
    assert keep(visitor, link).status_code == 200 and "known" not in link
    assert {path.parts[0] for path in map(type(root), files_of(root))} == {"data", "sessions"}
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert {path.name[1:] for path in root.glob("data/01/*")} == {"_01_0.wav"}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"consent": False}, "Without your consent nothing is recorded"),
        ({"consent": "yes"}, "Without your consent"),
        ({"pseudonym": "  "}, "A pseudonym is needed"),
        ({"pseudonym": 7}, "The pseudonym is to be a text."),
        ({"pseudonym": "x" * 101}, "at most 100 letters"),
        ({"origin": "a\0b"}, "The origin is to be at most 100 letters that can be printed."),
        ({"age": "1234"}, "The age is to be a whole number from 1 to 120, or left out."),
        ({"age": "²"}, "The age is to be"),
        ({"gender": "m"}, "The gender is to be one of female, male, or left out."),
    ],
)
def test_answers_that_cannot_be_get_a_sentence(visitor, root, answers, message):
    told = visitor.post("/sessions", json=ADA | answers)
    assert told.status_code == 422 and message in told.json()["error"] and not files_of(root)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_form_gets_a_sentence(visitor, content):
    assert visitor.post("/sessions", content=content).json() == {"error": "This is not a filled form."}


def test_only_the_pseudonym_has_to_be_told(visitor, root):
    link = visitor.post("/sessions", json={"consent": True, "pseudonym": "Ada"}).json()["link"]
    keep(visitor, link)
    assert json.loads((root / "data/audioMNIST_meta.txt").read_text())["01"].keys() == {"recordingdate"}
    assert "sex" not in AudioMNIST(root).clips()[0].labels


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"hello", 422, "not a recording"),
        (bytes(MOST_BYTES + 1), 413, "larger than 20 MB"),
        (sound(level=0, of=0.01, begins=0, lasts=0), 422, "Nothing was heard"),
    ],
)
def test_what_is_no_word_gets_a_sentence(visitor, root, content, status, message):
    link = begin(visitor)
    for told in (visitor.post(f"{link}/take", content=content), keep(visitor, link, 0, content)):
        assert told.status_code == status and message in told.json()["error"]
    assert not files_of(root)


def test_other_sites_may_not_ask_and_nothing_may_run_that_is_not_ours(visitor):
    link = begin(visitor)
    foreign = {"origin": "http://evil.example"}
    assert visitor.delete(link, headers=foreign).status_code == 403
    assert visitor.post("/sessions", json=ADA, headers=foreign).status_code == 403
    for place in ("/", link, "/session/nobody", "/static/record.js"):
        headers = visitor.get(place).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        page = visitor.get(place).text
        assert "<script>" not in page and "<style" not in page and " style=" not in page and "onclick" not in page


def test_what_speakers_write_is_escaped(visitor):
    link = begin(visitor, pseudonym="<script>alert(1)</script>")
    page = visitor.get(link).text
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


def test_a_damaged_session_shuts_nobody_else_out(visitor, root):
    links = [begin(visitor) for _ in range(2)]
    for link in links:
        keep(visitor, link)
    (root / "sessions/01.json").write_text("{")
    assert visitor.get(links[1]).is_success and visitor.get(f"{links[1]}/state").json()["done"] == 1
    assert keep(visitor, begin(visitor)).is_success and (root / "sessions/03.json").exists()
    assert (root / "sessions/01.json").read_text() == "{"


@pytest.mark.parametrize("content", ["no json", "[]", "\ud800"])
def test_metadata_that_are_not_audiomnists_are_not_overwritten(root, content):
    (root / "data").mkdir(parents=True)
    (root / "data/audioMNIST_meta.txt").write_text(content, errors="surrogatepass")
    with pytest.raises(Mistake, match=r"audioMNIST_meta.txt is not the JSON file of AudioMNIST .*mend it or remove it"):
        folder_of(root)


def test_metadata_one_folder_up_are_added_to(root):
    root.mkdir()
    (root / "audioMNIST_meta.txt").write_text('{"01": {"gender": "male"}}')
    visitor = visitor_of(folder_of(root))
    keep(visitor, begin(visitor))
    assert json.loads((root / "audioMNIST_meta.txt").read_text()).keys() == {"01", "02"}
    assert AudioMNIST(root).clips()[0].labels["sex"] == "female"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "record.root has no value; say record.root=… to set it."),
        (["record.root=file"], "file is not a folder; name another one."),
        (["record.root=/proc/corpus"], "record.root=/proc/corpus cannot be written to (No such file or directory)"),
        (["record.root=c", "record.repetitions=0"], "record.repetitions=0 is not a whole number from 1 to 999."),
        (["record.root=c", "record.words=[]"], "record.words=[] is not a list of one or more different words."),
        (["record.root=c", "record.words=[a,A]"], "record.words has A twice, if capitals do not count; leave"),
        (["record.root=c", "record.words=[a_b]"], "record.words has a_b, which is not made of up to 40 letters"),
        (["record.root=c", "record.words=['../x']"], "record.words has ../x, which is not made of"),
        (["record=5"], "record"),
        (["page=study", "study.name=pilot"], "checkpoint has no value; say checkpoint=… to set it."),
    ],
)
def test_mistakes_end_in_a_sentence(options, message, serve_here, tmp_path):
    (tmp_path / "file").touch()
    said = serve_here("page=record", *options)
    assert message in said and "\n" not in said and not (tmp_path / "c").exists()


@pytest.mark.parametrize("place", ["sessions", "data", "data/05", "data/05/0_05_0.wav", ".lock", "sessions/key"])
def test_a_corpus_from_somebody_else_leads_nowhere(root, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".a.unfinished").touch()
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(outside)
    with pytest.raises(Mistake, match="is a link that leads out of"):
        folder_of(root)
    assert [path.name for path in outside.iterdir()] == [".a.unfinished"]


@pytest.mark.parametrize(
    "change",
    [
        {"order": [["../../../outside/own", 0]]}, {"order": [["/tmp/own", 0]]}, {"order": [["0", -1]]},
        {"order": [["", 0]]},
        {"token": "\ud800"}, {"token": None}, {"pseudonym": 3}, {"order": 3}, {"about": [1]},
    ],
)  # fmt: skip
def test_a_session_from_somebody_else_is_one_or_none(visitor, root, change):
    session = {"token": "known", "pseudonym": "Ada", "about": {}, "order": [["0", 0], ["1", 0]]}
    (root / "sessions/05.json").write_text(json.dumps(session | change))
    later = visitor_of(folder_of(root))
    assert later.get("/session/known").status_code == 404
    assert keep(later, begin(later)).is_success and not (root.parent / "outside").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("last", ""), ("last", "abc"), ("last", "9" * 5000), ("deleted", "\u00e4"), ("05.json", "[" * 100_000)],
)
def test_damage_beside_a_corpus_shuts_nobody_out(visitor, root, name, content):
    (root / "sessions" / name).write_text(content)
    later = visitor_of(folder_of(root))
    assert keep(later, begin(later)).is_success


@pytest.mark.parametrize("content", ["[" * 100_000, json.dumps({"9" * 5000: {}})])
def test_damaged_metadata_end_in_a_sentence_or_do_not_matter(root, content):
    folder_of(root)
    (root / "data/audioMNIST_meta.txt").write_text(content)
    try:
        assert begin(visitor_of(folder_of(root)))
    except Mistake as mistake:
        assert "is not the JSON file of AudioMNIST" in str(mistake)
