import functools
import http.server
import io
import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules import audiomnist, download
from auscult.datamodules.audiomnist import AudioMNIST
from auscult.mistake import Mistake

NAMES = [
    f"data/{speaker}/{digit}_{speaker}_{take}.wav"
    for speaker in ("01", "12", "17")
    for digit in "05"
    for take in (2, 10)
]


def recording() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(4000), 8000, format="WAV")
    return file.getvalue()


class Server(http.server.BaseHTTPRequestHandler):
    """Can break off, ignore the wish for a part, and remembers what was wished for."""

    content = b""
    break_after: int | None = None  # bytes
    ranges = True
    requests: list[str | None]

    def do_GET(self) -> None:
        if self.path != "/archive.zip":
            return self.send_error(404)
        wanted = self.headers.get("Range")
        self.requests.append(wanted)
        first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0  # type: ignore[index]
        if first >= len(self.content):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(self.content) - first))
        self.end_headers()
        self.wfile.write(self.content[first:][: self.break_after])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Server], str]]:
    """A server of a small copy of the repository: what it does can be changed, and its address."""
    content = zipped({**dict.fromkeys(NAMES, recording()), "data/audioMNIST_meta.txt": b"{}", "README.md": b""})
    handler = type("Handler", (Server,), {"content": content, "requests": []})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=functools.partial(running.serve_forever, poll_interval=0.01), daemon=True).start()
    yield handler, f"http://127.0.0.1:{running.server_port}/archive.zip"
    running.shutdown()
    running.server_close()


def zipped(files: dict[str, bytes], top: str = "AudioMNIST-630d7dab/") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return file.getvalue()


def test_download_fills_the_root_and_leaves_nothing_else(server: tuple[type[Server], str], tmp_path: Path) -> None:
    handler, url = server
    for _ in range(2):
        assert [clip.path for clip in AudioMNIST(tmp_path / "new/corpus", True, url).clips()] == NAMES
    assert handler.requests == [None]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".corpus.lock", "corpus"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_is_continued(
    server: tuple[type[Server], str], tmp_path: Path, ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK", 100)
    handler, url = server
    handler.ranges = ranges
    handler.break_after = 1000
    for _ in range(2):
        with pytest.raises(Mistake, match=r"data\.url=.* broke off .*repeat the command to continue"):
            AudioMNIST(tmp_path / "corpus", True, url).clips()
    handler.break_after = None
    assert [clip.path for clip in AudioMNIST(tmp_path / "corpus", True, url).clips()] == NAMES
    assert handler.requests == [None, "bytes=1000-", "bytes=2000-" if ranges else "bytes=1000-"]
    assert not (tmp_path / ".corpus.download").exists()


def test_a_transfer_that_was_complete_already(server: tuple[type[Server], str], tmp_path: Path) -> None:
    handler, url = server
    (tmp_path / ".corpus.download").mkdir()
    (tmp_path / f".corpus.download/{download._name(url)}.part").write_bytes(handler.content)
    assert len(AudioMNIST(tmp_path / "corpus", True, url).clips()) == len(NAMES)


def test_a_broken_transfer_from_elsewhere_is_not_continued(server: tuple[type[Server], str], tmp_path: Path) -> None:
    handler, url = server
    (tmp_path / ".corpus.download").mkdir()
    (tmp_path / f".corpus.download/{download._name('http://elsewhere')}.part").write_bytes(b"something else")
    assert len(AudioMNIST(tmp_path / "corpus", True, url).clips()) == len(NAMES)
    assert handler.requests == [None]


def test_no_server_and_no_archive(server: tuple[type[Server], str], tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"data\.url=.*404"):
        AudioMNIST(tmp_path / "corpus", True, server[1] + "x").clips()
    with pytest.raises(Mistake, match=r"data\.url=.*ConnectionError"):
        AudioMNIST(tmp_path / "corpus", True, "http://127.0.0.1:9/archive.zip").clips()
    with pytest.raises(Mistake, match=r"data\.url=nonsense"):
        AudioMNIST(tmp_path / "corpus", True, "nonsense").clips()
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil-of-auscult", "data/../../../evil", "..\\..\\evil"])
def test_an_archive_that_wants_out(server: tuple[type[Server], str], tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("AudioMNIST/" + NAMES[0], recording())
        archive.writestr(name, b"evil")
    server[0].content = file.getvalue()
    with pytest.raises(Mistake, match="wants to write outside its folder"):
        AudioMNIST(tmp_path / "inner/corpus", True, server[1]).clips()
    assert not list(tmp_path.rglob("*evil*")) and not Path("/tmp/evil-of-auscult").exists()
    assert not (tmp_path / "inner/corpus").exists()


def test_an_archive_with_a_link(server: tuple[type[Server], str], tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("AudioMNIST/data")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path))
    server[0].content = file.getvalue()
    with pytest.raises(Mistake, match="wants to write outside its folder"):
        AudioMNIST(tmp_path / "corpus", True, server[1]).clips()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "page"])
def test_a_damaged_archive_is_fetched_anew(server: tuple[type[Server], str], tmp_path: Path, damage: str) -> None:
    handler, url = server
    whole = handler.content
    middle = whole.index(NAMES[0].encode()) + 1000  # of the first recording
    handler.content = {
        "truncated": whole[:-500],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "page": b"<html>Not now</html>",
    }[damage]
    with pytest.raises(Mistake, match=r"data\.url=.* is damaged"):
        AudioMNIST(tmp_path / "corpus", True, url).clips()
    assert not (tmp_path / "corpus").exists()
    handler.content = whole
    assert len(AudioMNIST(tmp_path / "corpus", True, url).clips()) == len(NAMES)


def test_an_archive_of_something_else(server: tuple[type[Server], str], tmp_path: Path) -> None:
    server[0].content = zipped({"README.md": b""})
    with pytest.raises(Mistake, match=r"data\.url=.* holds no recordings in AudioMNIST's layout"):
        AudioMNIST(tmp_path / "corpus", True, server[1]).clips()


def test_the_published_archive_must_be_complete(
    server: tuple[type[Server], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiomnist, "URL", server[1])
    with pytest.raises(Mistake, match="holds 12 recordings of 3 speakers instead of 30000 of 60"):
        AudioMNIST(tmp_path / "corpus", True, server[1]).clips()
    assert not (tmp_path / "corpus").exists()


def test_a_root_that_holds_something_else_is_left_alone(server: tuple[type[Server], str], tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/thesis.tex").write_bytes(b"years of work")
    with pytest.raises(Mistake, match=r"data\.root=.* is not empty"):
        AudioMNIST(tmp_path / "corpus", True, server[1]).clips()
    assert (tmp_path / "corpus/thesis.tex").read_bytes() == b"years of work"
    assert server[0].requests == []
    (tmp_path / "corpus/thesis.tex").unlink()
    assert len(AudioMNIST(tmp_path / "corpus", True, server[1]).clips()) == len(NAMES)  # empty is fine


def test_processes_that_ask_at_once_download_once(server: tuple[type[Server], str], tmp_path: Path) -> None:
    counts: list[int] = []

    def ask() -> None:
        counts.append(len(AudioMNIST(tmp_path / "corpus", True, server[1]).clips()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [len(NAMES)] * 4
    assert server[0].requests == [None]
