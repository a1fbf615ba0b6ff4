"""The folder that recordings are kept in, in AudioMNIST's layout, and the sessions beside them.

    <root>/data/<speaker>/<word>_<speaker>_<index>.wav     48 kHz, 16 bit, mono
    <root>/data/audioMNIST_meta.txt                        JSON: speaker -> age, gender, accent, ...
    <root>/sessions/<speaker>.json                         pseudonym, link, order of the prompts: not to be given away
    <root>/sessions/last                                   the last number that a speaker was given

A prompt is done when its recording is there: no second record of it could disagree after a crash.
"""

import hmac
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.mistake import Mistake
from src.serve.record_file import settle, sweep, write_whole
from src.serve.record_session import Session, begun
from src.serve.upload import BadUpload

log = logging.getLogger(__name__)

META = "audioMNIST_meta.txt"
LAST = "last"
MOST_SPEAKERS = 999


class NoSuchSession(BadUpload):
    """A link that leads nowhere."""


class OutOfTurn(BadUpload):
    """A recording of a prompt that has one already, or that there is not."""


class RecordingFolder:
    """A corpus that grows.

    Args:
        root: its folder; made where there is none.
        words, repetitions: what each new speaker is to say.

    Raises:
        Mistake: the folder cannot be made or written to, or holds metadata that are not AudioMNIST's.
    """

    def __init__(self, root: Path, words: list[str], repetitions: int) -> None:
        self.words, self.repetitions = words, repetitions
        self.data, self.sessions = root / "data", root / "sessions"
        self.lock = FileLock(root / ".lock")  # of all who write, in this program or another
        if root.exists() and not root.is_dir():
            raise Mistake(f"record.root={root} is not a folder; name another one.")
        try:
            for folder, mode in ((root, 0o777), (self.data, 0o777), (self.sessions, 0o700)):
                folder.mkdir(mode, parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            with self.lock:
                for folder in (self.sessions, self.data, *self.data.glob("*/")):
                    sweep(folder)
        except OSError as error:
            raise Mistake(
                f"record.root={root} cannot be written to ({error.strerror}); name another folder."
            ) from error
        # a copy of AudioMNIST may have its metadata one folder up
        self.meta = root / META if (root / META).exists() and not (self.data / META).exists() else self.data / META
        self.people()

    def begin(self, answers: dict[str, Any]) -> Session:
        """A session of a new speaker, see `begun`. Metadata join the others' with the first recording."""
        with self.lock:
            number = self._last_number() + 1
            if number > MOST_SPEAKERS:
                raise BadUpload(f"This corpus is full: it has {MOST_SPEAKERS} speakers.")
            session = begun(f"{number:02d}", answers, self.words, self.repetitions)
            write_whole(self.sessions / LAST, session.speaker.encode())
            write_whole(self._file(session), session.to_json())
        return session

    def session(self, token: str) -> Session:
        """The session that a link leads to.

        Raises:
            NoSuchSession: none has this token.
        """
        found = [one for one in self._all() if hmac.compare_digest(one.token.encode(), token.encode())]
        if not found:
            raise NoSuchSession("This link leads to no recordings; was it deleted, or not copied as a whole?")
        return found[0]

    def missing(self, session: Session) -> list[int]:
        """Places in the order whose recordings are not there yet; the first one is next."""
        folder = self._folder(session)
        return [place for place in range(len(session.order)) if not (folder / file_name(session, place)).exists()]

    def keep(self, token: str, place: int, wav: bytes) -> None:
        """Keeps a recording of a prompt.

        Args:
            place: in the session's order; sent twice by mistake, a word must not count as the one after it.
            wav: the file's bytes.

        Raises:
            NoSuchSession: see `session`.
            OutOfTurn: the prompt has its recording.
            OSError: it could not be written; nothing has changed.
        """
        with self.lock:
            session = self.session(token)
            if place not in self.missing(session):
                raise OutOfTurn("This word was kept already, perhaps in another window.")
            self._folder(session).mkdir(exist_ok=True)
            people = self.people()
            if people.get(session.speaker) != session.about:
                self._write_people(people | {session.speaker: session.about})
            write_whole(self._folder(session) / file_name(session, place), wav)
            settle(self.data)

    def delete(self, token: str) -> None:
        """Removes everything of a speaker; the session last, so that the link can finish what a crash left undone."""
        with self.lock:
            session = self.session(token)
            if self._folder(session).exists():
                shutil.rmtree(self._folder(session))
                settle(self.data)
            people = self.people()
            if people.pop(session.speaker, None) is not None:
                self._write_people(people)
            self._file(session).unlink()
            settle(self.sessions)

    def people(self) -> dict[str, Any]:
        """The metadata of all speakers."""
        try:
            people = json.loads(self.meta.read_text(encoding="utf-8")) if self.meta.exists() else {}
            if not isinstance(people, dict):
                raise ValueError("not an object")
        except ValueError as error:
            raise Mistake(f"{self.meta} is not the JSON file of AudioMNIST ({error}); mend it or remove it.") from error
        return people

    def _write_people(self, people: dict[str, Any]) -> None:
        write_whole(self.meta, json.dumps(people, indent=4, ensure_ascii=False).encode())

    def _all(self) -> Iterator[Session]:
        for path in sorted(self.sessions.glob("[0-9]*.json")):
            try:
                yield Session.read(path)
            except FileNotFoundError:
                continue  # deleted meanwhile
            except (ValueError, TypeError, KeyError) as error:
                log.warning("%s is not a session (%s: %s)", path, type(error).__name__, error)

    def _last_number(self) -> int:
        """The highest that there is or was: copies of a deleted speaker's must not become another's."""
        last = self.sessions / LAST
        known = {path.stem for folder in (self.data, self.sessions) for path in folder.iterdir()} | self.people().keys()
        known |= {last.read_text(encoding="ascii")} if last.exists() else set()
        return max((int(name) for name in known if name.isascii() and name.isdecimal()), default=0)

    def _folder(self, session: Session) -> Path:
        return self.data / session.speaker

    def _file(self, session: Session) -> Path:
        return self.sessions / f"{session.speaker}.json"


def file_name(session: Session, place: int) -> str:
    word, index = session.order[place]
    return f"{word}_{session.speaker}_{index}.wav"
