import multiprocessing
import os
import random
import signal
import sqlite3
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from auscult.mistake import Mistake
from auscult.study.plan import Condition, Trial
from auscult.study.store import TABLES, Answer, Store


def shown(number: int) -> Trial:
    return Trial(number, "main", 10 + number, Condition("visual", "random"))


def test_what_was_answered_is_there_when_one_comes_back(tmp_path):
    store = Store(tmp_path / "answers.sqlite")
    (first, token), (second, other) = store.join(), store.join()
    assert (first, second) == (0, 1) and token != other and len(token) >= 32
    assert store.answer(first, shown(0), Answer(0, "yes", 4, 1.5))
    assert store.answer(first, shown(1), Answer(1, "no", 2, 0.5))
    again = Store(tmp_path / "answers.sqlite")
    assert again.participant(token) == first and again.participant(other) == second
    assert again.answered(first) == 2 and again.answered(second) == 0
    answers = again.answers().drop(columns=["participant", "answered", "wanted"])
    assert answers.values.tolist() == [
        [0, "main", 10, "visual/random", "yes", 4, 1.5],
        [1, "main", 11, "visual/random", "no", 2, 0.5],
    ]


def test_turns_go_to_those_who_stay(tmp_path):
    """A participant who leaves before their turn is asked for takes none."""
    store = Store(tmp_path / "answers.sqlite")
    people = [store.join()[0] for _ in range(24)]
    stayed = people[::2]
    with ThreadPoolExecutor(6) as pool:
        turns = list(pool.map(lambda person: store.turn(person, 4), stayed))
    assert sorted(turns) == sorted(3 * list(range(4)))
    again = Store(tmp_path / "answers.sqlite")
    assert [again.turn(person, 4) for person in stayed] == turns


def test_what_is_no_database_is_not_overwritten(tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"my notes, long enough to be taken for a header" * 20)
    with pytest.raises(Mistake, match="cannot hold a study's answers"):
        Store(tmp_path / "answers.sqlite")
    assert (tmp_path / "answers.sqlite").read_bytes().startswith(b"my notes")
    with pytest.raises(Mistake, match="unable to open"):
        Store(tmp_path / "nowhere/answers.sqlite")


def hot_journal(path: Path, names: Path) -> bytes:
    """A journal that SQLite plays back, and that makes it remove a file: https://sqlite.org/fileformat2.html#rollbackjournal."""
    magic, page = bytes.fromhex("d9d505f920a163d7"), path.read_bytes()[:4096]
    header = (magic + struct.pack(">IIIII", 1, 0, path.stat().st_size // 4096, 512, 4096)).ljust(512, b"\0")
    check = sum(page[place] for place in range(4096 - 200, 0, -200))
    name = str(names).encode()
    last = struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    return header + struct.pack(">I", 1) + page + struct.pack(">I", check) + last


@pytest.mark.parametrize("opens", [sqlite3.connect, Store])
def test_a_journal_removes_no_file(tmp_path, opens):
    path, other = tmp_path / "answers.sqlite", tmp_path / "other.txt"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA page_size = 4096;" + TABLES)
    other.write_text("precious")
    (tmp_path / "answers.sqlite-journal").write_bytes(hot_journal(path, other))
    if opens is Store:
        with pytest.raises(Mistake, match=r"answers\.sqlite-journal is not a study's; remove it"):
            Store(path)
        assert other.read_text() == "precious"
    else:  # this is what SQLite does by itself
        with closing(opens(path)) as connection:
            connection.execute("SELECT * FROM answers")
        assert not other.exists()


@pytest.mark.parametrize(
    "changed",
    [
        TABLES.replace("guess TEXT NOT NULL", "guess TEXT GENERATED ALWAYS AS (printf('%.*c', 9, 'x')) VIRTUAL"),
        TABLES.replace("guess TEXT NOT NULL", "guess TEXT DEFAULT (printf('%.*c', 9, 'x'))"),
        TABLES.replace("seconds REAL NOT NULL", "seconds REAL CHECK (length(printf('%.*c', 9, 'x')) > 1)"),
        TABLES + "CREATE INDEX slow ON answers (printf('%.*c', 9, guess));",
        TABLES + "CREATE TRIGGER own AFTER INSERT ON answers BEGIN DELETE FROM answers; END;",
        TABLES + "CREATE VIEW own AS SELECT * FROM answers;",
        TABLES + "CREATE VIRTUAL TABLE own USING fts5(text);",
        TABLES + "CREATE TABLE other (text);",
    ],
)
def test_other_tables_are_not_opened(tmp_path, changed):
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(changed)
    with pytest.raises(Mistake, match="holds other tables than a study's"):
        Store(path)


@pytest.mark.parametrize("condition", [b"\xff\0", "x" * 10_000, 3])
def test_what_nobody_can_have_answered_is_refused(tmp_path, condition):
    store = Store(tmp_path / "answers.sqlite")
    number, _ = store.join()
    with closing(sqlite3.connect(store.path)) as connection, connection:
        row = (number, 0, "main", 1, condition, None, "a", 1, 1.0, 1.0)
        connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if condition == 3:  # which the column makes a text of
        assert store.answers()["condition"].tolist() == ["3"]
    else:
        with pytest.raises(Mistake, match="holds a condition that is no short text"):
            store.answers()


def test_a_study_from_before_is_opened(tmp_path):
    path, tables = tmp_path / "answers.sqlite", TABLES.replace("as the browser says: from", "from")
    before = tables[: tables.index("CREATE TABLE IF NOT EXISTS handed_out")]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(before)
    assert Store(path).handed_out().empty


@pytest.mark.parametrize("token", ["", "nobody", "' OR 1=1 --", "../answers.sqlite", None])
def test_a_token_that_was_not_given_is_nobodys(tmp_path, token):
    store = Store(tmp_path / "answers.sqlite")
    store.join()
    assert store.participant(token) is None


def test_the_first_answer_stays(tmp_path):
    store = Store(tmp_path / "answers.sqlite")
    number, _ = store.join()
    assert store.answer(number, shown(0), Answer(0, "yes", 4, 1.5))
    assert not store.answer(number, shown(0), Answer(0, "no", 1, 9.0))
    assert store.answers()["guess"].tolist() == ["yes"]
    with pytest.raises(sqlite3.IntegrityError):  # this participant never joined
        store.answer(7, shown(0), Answer(0, "yes", 4, 1.5))


def test_a_trial_is_handed_out_once(tmp_path):
    store = Store(tmp_path / "answers.sqlite")
    number, _ = store.join()
    store.hand_out(number, 0)
    first = store.handed_out()
    Store(tmp_path / "answers.sqlite").hand_out(number, 0)
    pd.testing.assert_frame_equal(store.handed_out(), first)
    assert first[["participant", "trial"]].values.tolist() == [[0, 0]] and abs(first["moment"][0] - time.time()) < 60


def test_who_joins_and_goes_away_does_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("auscult.study.store.MOST_IDLE", 5)
    store = Store(tmp_path / "answers.sqlite")
    stayed, token = store.join()
    store.answer(stayed, shown(0), Answer(0, "yes", 4, 1.5))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        gone = [(number, f"token {number}", 0.0) for number in range(1, 1000)]
        connection.executemany("INSERT INTO participants VALUES (?, ?, ?, NULL)", gone)
    store.hand_out(3, 0)
    assert store.join()[0] == 1000 and store.participant(token) == stayed
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT number FROM participants ORDER BY number").fetchall() == [
            (0,), (996,), (997,), (998,), (999,), (1000,),
        ]  # fmt: skip
    assert store.handed_out().empty and len(store.answers()) == 1


@pytest.mark.slow
def test_fifty_participants_at_once_lose_nothing(tmp_path):
    path, trials = tmp_path / "answers.sqlite", 12
    Store(path)

    def take_part(_: int) -> int:
        store = Store(path)
        number, token = store.join()
        for trial in range(trials):
            assert store.participant(token) == number
            store.answer(number, shown(trial), Answer(trial, f"class {number}", trial % 5, 0.1))
            store.answer(number, shown(trial), Answer(trial, "a double click", 0, 0.0))
        return number

    with ThreadPoolExecutor(50) as pool:
        numbers = list(pool.map(take_part, range(50)))
    assert sorted(numbers) == list(range(50))
    answers = Store(path).answers()
    assert len(answers) == 50 * trials and not answers.duplicated(["participant", "trial"]).any()
    assert (answers["guess"] == "class " + answers["participant"].astype(str)).all()


def answer_until_killed(path: Path, told: Path) -> None:
    store = Store(path)
    number, _ = store.join()
    with open(told, "ab", buffering=0) as file:
        for trial in range(10**6):
            store.answer(number, shown(trial), Answer(trial, "yes", 3, 0.1))
            file.write(f"{number} {trial}\n".encode())


@pytest.mark.slow
def test_twenty_kills_lose_no_answer_that_was_confirmed(tmp_path):
    path, told = tmp_path / "answers.sqlite", tmp_path / "told"
    chance, context = random.Random(0), multiprocessing.get_context("fork")
    for _ in range(20):
        program = context.Process(target=answer_until_killed, args=(path, told))
        program.start()
        size = told.stat().st_size if told.exists() else 0
        while not told.exists() or told.stat().st_size == size:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(program.pid, signal.SIGKILL)
        program.join()
    confirmed = {tuple(map(int, line.split())) for line in told.read_text().splitlines()}
    answers = Store(path).answers()
    kept = set(zip(answers["participant"].tolist(), answers["trial"].tolist(), strict=True))
    assert confirmed <= kept and len(kept - confirmed) <= 20 and len(confirmed) >= 20
    assert {participant for participant, _ in kept} == set(range(20))
