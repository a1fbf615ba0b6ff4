"""The sessions of a recording folder, and the personal links that lead to them.

Until a speaker has kept a word, the whole session is in its link, which is signed. A visitor who only fills in the form
takes no number and no room on the disk. With the first word, the session gets a file.
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import random
import secrets
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from auscult.serve.record.file import settle, write_whole
from auscult.serve.record.session import Session, about_in, pseudonym_in
from auscult.serve.upload import BadUpload

log = logging.getLogger(__name__)

KEY, DELETED = "key", "deleted"
MOST_DELETED = 10_000  # dead links that are remembered
MOST_READ = 2000  # sessions whose tokens are remembered


class NoSuchSession(BadUpload):
    """A link that leads nowhere."""


class Links:
    """Sessions by the tokens in their links.

    Args:
        folder: it holds a file for each session with a number; `key`, which signs links; and `deleted`, the hashes of
            dead links.
        words, repetitions: what each new speaker is to say. If they change, links without a recording lead nowhere: a
            page that is still open would send one word in the place of another.
    """

    def __init__(self, folder: Path, words: list[str], repetitions: int) -> None:
        self.folder, self.words, self.repetitions = folder, words, repetitions
        if not (folder / KEY).exists():
            write_whole(folder / KEY, secrets.token_bytes(32))
        self.key = (folder / KEY).read_bytes()

    def begun(self, answers: dict[str, Any]) -> Session:
        """A new session.

        Args:
            answers: to the page's form: `consent`, `pseudonym` and AudioMNIST's keys.

        Raises:
            BadUpload: an answer is missing or has a wrong value.
        """
        content = json.dumps([secrets.token_urlsafe(), pseudonym_in(answers), about_in(answers)], ensure_ascii=False)
        letters = encoded(content.encode())
        return self._signed(f"{letters}.{self._signature(letters)}")

    def session(self, token: str) -> Session:
        """The session that a link leads to.

        Raises:
            NoSuchSession: none has this token.
        """
        with suppress(FileNotFoundError):  # deleted meanwhile
            if file := self.file(token):
                return Session.read(file)
        letters, _, signature = token.rpartition(".")
        is_ours = hmac.compare_digest(self._signature(letters).encode(), signature.encode())
        if not is_ours or hash_of(token) in self._deleted():
            raise NoSuchSession(
                "This link leads to no recordings; copy it as a whole, or begin anew if you deleted them."
            )
        return self._signed(token)

    def file(self, token: str) -> Path | None:
        """A session's file; none before the first recording."""
        for path in sorted(self.folder.glob("*.json")):
            if hmac.compare_digest(token_of(path).encode(), token.encode()):
                return path
        return None

    def number(self, session: Session, speaker: str) -> Session:
        """Gives a session its number, and a file."""
        file, session = self.file(session.token), replace(session, speaker=speaker)
        if file is None:
            write_whole(self.folder / f"{speaker}.json", session.to_json())
        else:
            os.replace(file, self.folder / f"{speaker}.json")
            settle(self.folder)
        return session

    def take_number(self, speaker: str) -> None:
        """Takes a number back; the link stays good."""
        os.replace(self.folder / f"{speaker}.json", self.folder / f"waiting-{secrets.token_hex(8)}.json")

    def delete(self, token: str) -> None:
        """Removes a session, so that its link leads nowhere."""
        dead = [*self._deleted(), hash_of(token)][-MOST_DELETED:]
        write_whole(self.folder / DELETED, "\n".join(dead).encode())
        if file := self.file(token):
            file.unlink()
            settle(self.folder)

    def _deleted(self) -> list[str]:
        file = self.folder / DELETED
        return file.read_text(encoding="ascii", errors="replace").split() if file.is_file() else []

    def _signed(self, token: str) -> Session:
        """The session in a link. Each word comes once before any comes again: an early end leaves them balanced."""
        letters = token.rpartition(".")[0]
        _, pseudonym, about = json.loads(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)))
        chance = random.Random(token)  # the same order whenever the link is read
        order = [(w, index) for index in range(self.repetitions) for w in chance.sample(self.words, len(self.words))]
        return Session("", token, pseudonym, about, order)

    def _signature(self, letters: str) -> str:
        signed = json.dumps([letters, self.words, self.repetitions])
        return encoded(hmac.digest(self.key, signed.encode(), "sha256"))


def token_of(path: Path) -> str:
    """The token in a session's file; "" if it is damaged, or was deleted meanwhile."""
    try:
        about = path.stat()
        return read_token(path, about.st_ino, about.st_mtime_ns)
    except FileNotFoundError:
        return ""


@lru_cache(MOST_READ)
def read_token(path: Path, inode: int, changed: int) -> str:
    """Reads each file once, as every request asks for the one with its token."""
    try:
        return Session.read(path).token
    except (ValueError, TypeError, KeyError) as error:
        log.warning("%s is not a session (%s: %s)", path, type(error).__name__, error)
        return ""


def encoded(content: bytes) -> str:
    """Bytes in letters that a link may have."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def hash_of(token: str) -> str:
    """The hash of a link's token, which is kept when the link is dead."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]
