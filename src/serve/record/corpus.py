"""The folder that recordings are kept in, in AudioMNIST's layout, and the sessions beside them.

    <root>/data/<speaker>/<word>_<speaker>_<index>.wav     48 kHz, 16 bit, mono
    <root>/data/audioMNIST_meta.txt                        JSON: speaker -> age, gender, accent, ...
    <root>/sessions/<speaker>.json                         pseudonym, link, order of the prompts: not to be given away
    <root>/sessions/last                                   the highest number that a speaker was given

A speaker is given a number with the first recording. A prompt is done when its recording is there. Nothing else notes
that it is done, so that nothing can disagree after a crash.
"""

import json
import logging
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from auscult.files import check_links
from auscult.mistake import Mistake
from auscult.serve.record.file import settle, sweep, write_whole
from auscult.serve.record.links import Links, token_of
from auscult.serve.record.session import Session
from auscult.serve.upload import BadUpload

log = logging.getLogger(__name__)

META = "audioMNIST_meta.txt"
LAST = "last"
MOST_SPEAKERS = 999


class OutOfTurn(BadUpload):
    """A recording of a prompt that has one already, or of a prompt that does not exist."""


class RecordingFolder:
    """A corpus that grows.

    Args:
        root: its folder; it is made if it is not there.
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
        check_links(root)
        try:
            for folder, mode in ((root, 0o777), (self.data, 0o777), (self.sessions, 0o700)):
                folder.mkdir(mode, parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            with self.lock:
                for folder in (self.sessions, self.data, *self.data.glob("*/")):
                    sweep(folder)
                self.links = Links(self.sessions, words, repetitions)
        except OSError as error:
            raise Mistake(
                f"record.root={root} cannot be written to ({error.strerror}); name another folder."
            ) from error
        # a copy of AudioMNIST may have its metadata one folder up
        self.meta = root / META if (root / META).exists() and not (self.data / META).exists() else self.data / META
        with self.lock:
            self._free_numbers()

    def begin(self, answers: dict[str, Any]) -> Session:
        """A session of a new speaker, see `Links.begun`. Nothing is kept of it before the first recording.

        Raises:
            BadUpload: an answer is missing or has a wrong value, or the corpus is full.
        """
        session = self.links.begun(answers)
        self._next_number()
        return session

    def session(self, token: str) -> Session:
        """The session that a link leads to.

        Raises:
            NoSuchSession: none has this token.
        """
        return self.links.session(token)

    def missing(self, session: Session) -> list[int]:
        """Places in the order whose recordings are not there yet; the first one is next."""
        folder, places = self._folder(session), range(len(session.order))
        return [place for place in places if not session.speaker or not (folder / file_name(session, place)).exists()]

    def keep(self, token: str, place: int, wav: bytes) -> None:
        """Keeps a recording of a prompt.

        Args:
            place: the prompt's place in the session's order: a word that is sent twice must not count as the next one.
            wav: the file's bytes.

        Raises:
            NoSuchSession: see `session`.
            OutOfTurn: the prompt has its recording.
            BadUpload: it is the speaker's first recording, and the corpus is full.
            OSError: it could not be written; no recording has changed.
        """
        with self.lock:
            session = self.session(token)
            if place not in self.missing(session):
                raise OutOfTurn("This word was kept already, perhaps in another window.")
            if not session.speaker:
                session = self._numbered(session)
            self._folder(session).mkdir(exist_ok=True)
            people = self.people()
            if people.get(session.speaker) != session.about:
                self._write_people(people | {session.speaker: session.about})
            write_whole(self._folder(session) / file_name(session, place), wav)
            settle(self.data)

    def delete(self, token: str) -> None:
        """Removes everything of a speaker. The session goes last, so that its link can finish after a crash."""
        with self.lock:
            session = self.session(token)
            if session.speaker and self._folder(session).exists():
                shutil.rmtree(self._folder(session))
                settle(self.data)
            people = self.people()
            if people.pop(session.speaker, None) is not None:
                self._write_people(people)
            self.links.delete(token)

    def people(self) -> dict[str, Any]:
        """The metadata of all speakers.

        Raises:
            Mistake: the file is not AudioMNIST's.
        """
        try:
            people = json.loads(self.meta.read_text(encoding="utf-8")) if self.meta.exists() else {}
            if not isinstance(people, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError, IsADirectoryError) as error:
            raise Mistake(f"{self.meta} is not the JSON file of AudioMNIST ({error}); mend it or remove it.") from error
        return people

    def _write_people(self, people: dict[str, Any]) -> None:
        write_whole(self.meta, json.dumps(people, indent=4, ensure_ascii=False).encode())

    def _numbered(self, session: Session) -> Session:
        """Gives a session a number that no other has, and keeps it."""
        self._free_numbers()
        number = self._next_number()
        if number > self._last_number():
            write_whole(self.sessions / LAST, str(number).encode())
        return self.links.number(session, f"{number:02d}")

    def _free_numbers(self) -> None:
        """Takes numbers back from sessions without recordings, which a crash may leave.

        Every file in a speaker's folder counts as a recording: somebody may have changed its format.
        """
        people, freed = self.people(), []
        before = len(people)
        for file in self.sessions.glob("[0-9]*.json"):
            if not token_of(file) or any((self.data / file.stem).glob("[!.]*")):
                continue
            freed.append(file.stem)
            if people.get(file.stem) == Session.read(file).about:
                del people[file.stem]
            with suppress(OSError):  # the folder is not there, or has files that are not ours
                (self.data / file.stem).rmdir()
            self.links.take_number(file.stem)
        if freed:
            log.warning("Numbers of speakers without recordings are free again: %s", ", ".join(sorted(freed)[:20]))
        if len(people) < before:
            self._write_people(people)

    def _next_number(self) -> int:
        """The number above all that are or were used: copies of a deleted speaker's files must not become another's.

        If there is none above, it is the lowest that is free.

        Raises:
            BadUpload: none is free.
        """
        names = {path.stem for folder in (self.data, self.sessions) for path in folder.iterdir()} | self.people().keys()
        taken = {int(name) for name in names if re.fullmatch(r"\d{1,9}", name, re.ASCII)}
        last = max(taken | {self._last_number()})
        free = [last + 1] if last < MOST_SPEAKERS else [n for n in range(1, MOST_SPEAKERS + 1) if n not in taken]
        if not free:
            raise BadUpload(f"This corpus is full: it has {MOST_SPEAKERS} speakers.")
        return free[0]

    def _last_number(self) -> int:
        """The highest number that was given; 0 if its file is missing or damaged."""
        file = self.sessions / LAST
        content = file.read_text(encoding="ascii", errors="replace") if file.is_file() else "0"
        return int(content) if re.fullmatch(r"\d{1,9}", content) else 0

    def _folder(self, session: Session) -> Path:
        return self.data / session.speaker


def file_name(session: Session, place: int) -> str:
    """The name of the recording at a place of a session."""
    word, index = session.order[place]
    return f"{word}_{session.speaker}_{index}.wav"
