"""Who records what, and in which order."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auscult.serve.options import is_word
from auscult.serve.upload import BadUpload

# AudioMNIST's keys of what a speaker may tell, and the choices, if there are some; `recordingdate` is added later
QUESTIONS: dict[str, tuple[str, ...]] = {
    "age": (),
    "gender": ("female", "male"),
    "accent": (),
    "native speaker": ("yes", "no"),
    "origin": (),
    "recordingroom": (),
}
MOST_LETTERS = 100  # of an answer
OLDEST = 120
MOST_BYTES = 10**7  # of a session's file: 100 000 prompts


@dataclass(frozen=True)
class Session:
    """One speaker's session, kept as JSON.

    Args:
        speaker: two digits; "" until a word is kept.
        token: the secret in the speaker's link.
        pseudonym: kept only here.
        about: metadata under AudioMNIST's keys, as far as the speaker told them.
        order: the prompts: words, each with the index of its repetition.
    """

    speaker: str
    token: str
    pseudonym: str
    about: dict[str, Any]
    order: list[tuple[str, int]]

    def to_json(self) -> bytes:
        """The session as it is kept in a file."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def read(cls, path: Path) -> "Session":
        """Reads a file. Raises ValueError, TypeError or KeyError if it is no session: words become names of files."""
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is larger than any session")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        token, pseudonym = content["token"], content["pseudonym"]
        order = [(str(word), int(index)) for word, index in content["order"]]
        if not (isinstance(token, str) and token.isascii() and isinstance(pseudonym, str)):
            raise ValueError("its token or its pseudonym is not a text")
        if not all(is_word(word) and index >= 0 for word, index in order):
            raise ValueError("it names something that is no word")
        return cls(path.stem if path.stem.isdecimal() else "", token, pseudonym, dict(content["about"]), order)


def pseudonym_in(answers: dict[str, Any]) -> str:
    """The pseudonym of a speaker who consents.

    Raises:
        BadUpload: the consent or the pseudonym is missing.
    """
    if answers.get("consent") is not True:
        raise BadUpload("Without your consent nothing is recorded; tick the box if you agree.")
    pseudonym = text("pseudonym", answers.get("pseudonym", ""))
    if not pseudonym:
        raise BadUpload("A pseudonym is needed; any name will do that only you can tell is yours.")
    return pseudonym


def about_in(answers: dict[str, Any]) -> dict[str, Any]:
    """A speaker's metadata, as AudioMNIST has them.

    Raises:
        BadUpload: an answer has a wrong value; the message names it.
    """
    about: dict[str, Any] = {}
    for question, choices in QUESTIONS.items():
        answer = text(question, answers.get(question, ""))
        if answer and choices and answer not in choices:
            raise BadUpload(f"The {question} is to be one of {', '.join(choices)}, or left out.")
        if answer:
            about[question] = years(answer) if question == "age" else answer
    return about | {"recordingdate": time.strftime("%y-%m-%d-%H-%M-%S")}


def text(question: str, answer: Any) -> str:
    """An answer without needless spaces. Raises BadUpload if it is no text, or too long."""
    if not isinstance(answer, str):
        raise BadUpload(f"The {question} is to be a text.")
    answer = " ".join(answer.split())
    if len(answer) > MOST_LETTERS or not answer.isprintable():
        raise BadUpload(f"The {question} is to be at most {MOST_LETTERS} letters that can be printed.")
    return answer


def years(answer: str) -> int:
    """An age in years.

    Raises:
        BadUpload: the answer is no age.
    """
    if not (answer.isascii() and answer.isdecimal() and 0 < int(answer) <= OLDEST):
        raise BadUpload(f"The age is to be a whole number from 1 to {OLDEST}, or left out.")
    return int(answer)
