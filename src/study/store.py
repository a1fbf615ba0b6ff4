"""What participants answered, in SQLite. An answer is on the disk before its participant is told so."""

import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.study.plan import Trial

TABLES = """
CREATE TABLE IF NOT EXISTS participants (
    number INTEGER PRIMARY KEY,     -- from 0, in the order in which they came
    token TEXT NOT NULL UNIQUE,     -- of their personal link; nothing else is known of them
    started REAL NOT NULL,
    turn INTEGER                    -- of the conditions; NULL until they have practised
);
CREATE TABLE IF NOT EXISTS answers (
    participant INTEGER NOT NULL REFERENCES participants(number),
    trial INTEGER NOT NULL,
    block TEXT NOT NULL,            -- training, main or attention
    clip INTEGER NOT NULL,          -- a number of study.json's
    condition TEXT NOT NULL,        -- how it was explained
    wanted TEXT,                    -- the class that an attention check asked for
    guess TEXT NOT NULL,            -- the class that they think the network predicted
    rating INTEGER,                 -- how well the explanation supports it; NULL where there was none
    seconds REAL NOT NULL,          -- as the browser says: from when the trial was last shown, with all its parts there
    answered REAL NOT NULL,
    PRIMARY KEY (participant, trial)
);
CREATE TABLE IF NOT EXISTS handed_out (
    participant INTEGER NOT NULL REFERENCES participants(number) ON DELETE CASCADE,
    trial INTEGER NOT NULL,
    moment REAL NOT NULL,           -- when the server first told what the trial is
    PRIMARY KEY (participant, trial)
);
"""


JOURNAL_SECONDS = 1.0  # that another server may take to make a study's file
LONGEST = 1000  # characters of an answer
MOST_IDLE = 100_000  # participants who have not answered anything: who joins and goes away must not fill the disk


@dataclass(frozen=True)
class Answer:
    """One participant's answer to one trial.

    Args:
        trial: its number in the participant's order.
        guess: the class that they think the network predicted.
        rating: how well the explanation supports it; None where there was none.
        seconds: from when the trial was last shown, with all its parts there, to when it was answered, as the browser
            says.
    """

    trial: int
    guess: str
    rating: int | None
    seconds: float


class Store:
    """A study's participants and answers.

    Every call is a transaction of its own that is on the disk when it returns; any number of threads and processes may
    call at once.

    Args:
        path: the SQLite file; it is made if it is not there.

    Raises:
        Mistake: the file cannot be made, or is not a study's.
        sqlite3.OperationalError: it cannot be written, such as on a full disk; earlier answers are still there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        require_no_journal(path)
        try:
            with self._connection() as connection:
                if not described(connection) <= own_description():
                    raise Mistake(f"{path} holds other tables than a study's, or other columns; restore it.")
                connection.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            raise Mistake(
                f"{path} cannot hold a study's answers ({error}); restore it, or name another study."
            ) from error

    def join(self) -> tuple[int, str]:
        """Adds a participant: returns their number, and the token of their personal link, which cannot be guessed."""
        token = secrets.token_urlsafe(24)
        with self._connection() as connection:
            made = connection.execute(
                "INSERT INTO participants"
                " SELECT coalesce(max(number) + 1, 0), ?, ?, NULL FROM participants RETURNING number",
                (token, time.time()),
            )
            [number] = made.fetchone()
            if number % 1000 == 0:
                connection.execute(
                    "DELETE FROM participants WHERE number IN (SELECT number FROM participants"
                    " WHERE number NOT IN (SELECT participant FROM answers) ORDER BY number DESC LIMIT -1 OFFSET ?)",
                    (MOST_IDLE,),
                )
        return number, token

    def participant(self, token: str) -> int | None:
        """The number of the participant with this token, if there is one."""
        with self._connection() as connection:
            row = connection.execute("SELECT number FROM participants WHERE token = ?", (token,)).fetchone()
        return None if row is None else int(row[0])

    def turn(self, participant: int, turns: int) -> int:
        """The participant's turn, one of so many. The first call chooses the one that the fewest participants have.

        Participants who leave before that take no turn, so that the turns of the others stay balanced.
        """
        with self._connection() as connection:
            connection.execute(
                "UPDATE participants SET turn = ("
                " WITH RECURSIVE turns(turn) AS (SELECT 0 UNION ALL SELECT turn + 1 FROM turns WHERE turn + 1 < ?)"
                " SELECT turns.turn FROM turns LEFT JOIN participants AS other ON other.turn = turns.turn"
                " GROUP BY turns.turn ORDER BY count(other.number), turns.turn LIMIT 1"
                ") WHERE number = ? AND turn IS NULL",
                (turns, participant),
            )
            [turn] = connection.execute("SELECT turn FROM participants WHERE number = ?", (participant,)).fetchone()
        return int(turn)

    def hand_out(self, participant: int, trial: int) -> None:
        """Keeps when a trial was first handed out. If the page is loaded again, the time does not begin anew."""
        with self._connection() as connection:
            insert = "INSERT INTO handed_out VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            connection.execute(insert, (participant, trial, time.time()))

    def answer(self, participant: int, trial: Trial, answer: Answer) -> bool:
        """Keeps an answer. Returns whether it is the trial's first: a second one, as of a double click, is not kept."""
        asked = (participant, trial.number, trial.block, trial.clip, trial.condition.name, trial.wanted)
        row = (*asked, answer.guess, answer.rating, answer.seconds, time.time())
        with self._connection() as connection:
            insert = "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            kept = connection.execute(insert, row)
            return kept.rowcount == 1

    def answered(self, participant: int) -> int:
        """How many trials a participant has answered, which is the number of the next."""
        with self._connection() as connection:
            [count] = connection.execute(
                "SELECT count(*) FROM answers WHERE participant = ?", (participant,)
            ).fetchone()
        return int(count)

    def answers(self) -> pd.DataFrame:
        """All answers, a row each, with the columns of the table.

        Raises:
            Mistake: an answer has a value that nobody can have given.
        """
        with self._connection() as connection:
            table = pd.read_sql_query("SELECT * FROM answers ORDER BY participant, trial", connection)
        for name in ("block", "condition", "guess"):
            if not all(isinstance(value, str) and len(value) <= LONGEST for value in table[name]):
                raise Mistake(f"{self.path} holds a {name} that is no short text; restore it.")
        return table

    def require_conditions(self, names: Iterable[str]) -> None:
        """Raises a Mistake if an answer is under another condition: then the file is another study's."""
        with self._connection() as connection:
            answered = {str(row[0]) for row in connection.execute("SELECT DISTINCT condition FROM answers")}
        if unknown := sorted(answered - set(names)):
            raise Mistake(
                f"{self.path} has answers under {shown(unknown[0])}, which the study.json beside it does not name; the"
                " file belongs to another study: put this study's own file back."
            )

    def handed_out(self) -> pd.DataFrame:
        """When each trial was first handed out: participant, trial, moment. Studies of earlier versions have no rows.

        Only a program can answer a trial that was not handed out. Such an answer counts as one that came at once.
        """
        with self._connection() as connection:
            return pd.read_sql_query("SELECT * FROM handed_out", connection)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30)
        connection.text_factory = lambda content: content.decode("utf-8", errors="replace")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            with connection:
                yield connection
        finally:
            connection.close()


def require_no_journal(path: Path) -> None:
    """Raises a Mistake if there is a journal: SQLite would play it back, and remove any file that it names.

    A study has a journal only for a moment, while it is being made.
    """
    journal = path.with_name(f"{path.name}-journal")
    deadline = time.monotonic() + JOURNAL_SECONDS
    while os.path.lexists(journal):
        if time.monotonic() > deadline:
            raise Mistake(f"{journal} is not a study's; remove it, or name another study.")
        time.sleep(0.05)


def own_description() -> set[tuple[str, ...]]:
    """What `described` gives for a new study."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        return described(connection)


def described(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Type, name and statement of all that a database has, without comments.

    They are compared because SQLite computes a table's expressions, such as generated columns, when it reads the table.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    bare = [(kind, name, re.sub(r"--[^\n]*", "", sql or "")) for kind, name, sql in rows]
    return {(kind, name, *text.split()) for kind, name, text in bare}
