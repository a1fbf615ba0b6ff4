"""Reads the labels of speakers from a table, such as AudioMNIST's metadata."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from auscult.datamodules.labels.table import composed, names_of, read_table, require_table, shortened
from auscult.datamodules.labels.table_paths import column_among
from auscult.mistake import Mistake

log = logging.getLogger(__name__)


# names of the column `speaker`, see `plain`; `client_id` is Common Voice's
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id", "spk", "spk_id", "speakerid")


def labels_of_speakers(path: Path, option: str) -> dict[str, dict[str, str]]:
    """Reads speaker -> label -> value.

    Args:
        path: a CSV table with a column "speaker" (or another of `SPEAKER_COLUMNS`) and one column per label, or a
            JSON object of objects like AudioMNIST's audioMNIST_meta.txt. Its "gender" becomes the label "sex".
        option: the option that names the file, for the message.

    Raises:
        Mistake: there is no such file, or it has another format.
    """
    try:
        require_table(path)
        is_json = path.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
    except OSError as error:
        raise Mistake(f"{option}={path} cannot be read: {error.strerror}.") from error
    people = _from_json(path, option) if is_json else _from_table(path, option)
    return {
        speaker: {"sex" if name == "gender" else name: value for name, value in labels.items() if value}
        for speaker, labels in people.items()
    }


def _from_json(path: Path, option: str) -> dict[str, dict[str, str]]:
    try:
        people = json.loads(composed(path.read_text(encoding="utf-8-sig")))
        return {
            speaker: {name: str(value) for name, value in labels.items() if value is not None}
            for speaker, labels in people.items()
        }
    except (ValueError, AttributeError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Mistake(
            f"{option}={path} is not a JSON object of speakers and their labels{where}, such as"
            ' {"spk0": {"sex": "female"}}.'
        ) from error


def _from_table(path: Path, option: str) -> dict[str, dict[str, str]]:
    columns, rows = read_table(path, f"{option}={path}")
    named = column_among(columns, SPEAKER_COLUMNS)
    if named is None or len(columns) < 2:
        raise Mistake(f"{option}={path} needs a column 'speaker' and a column per label; it has {names_of(columns)}.")
    people = {row[named]: {name: value for name, value in row.items() if name != named} for row in rows}
    repeated = sorted(name for name, count in Counter(row[named] for row in rows).items() if count > 1)
    if repeated:
        raise Mistake(
            f"{option}={path} names {len(repeated)} speakers more than once, such as {shortened(repeated[0])};"
            " keep one row per speaker (a table with one row per recording belongs to data.csv)."
        )
    return people


def check_speakers(people: Iterable[str], named: Iterable[str], table: str) -> None:
    """Warns of speakers whom a table of speakers does not list.

    Args:
        people: the table's speakers.
        named: the speakers of the recordings.
        table: the option and its value, for messages.

    Raises:
        Mistake: it lists none of them, or spells some in another way.
    """
    people, named = set(people), set(named)
    unknown = sorted(named - people)
    if unknown and len(unknown) == len(named):
        in_table, in_names = (", ".join(map(shortened, sorted(names)[:3])) for names in (people, named))
        raise Mistake(
            f"{table} lists none of the recordings' {len(named)} speakers: its speakers are {in_table or 'none'}, those"
            f" of the recordings {in_names}; make data.pattern or data.csv name them alike, or change the table."
        )
    pairs = [pair for pair in spelled_alike([*unknown, *(people - named)]) if len(people.intersection(pair)) == 1]
    if pairs:
        [own], [other] = people.intersection(pairs[0]), set(pairs[0]) - people
        raise Mistake(
            f"{table} lists {shortened(own)}, and recordings name {shortened(other)}: spell them alike"
            f" ({len(pairs)} speakers in all)."
        )
    if unknown:
        examples = ", ".join(map(shortened, unknown[:20])) + (", …" if len(unknown) > 20 else "")
        log.warning("%s does not list %s.", table, examples)


def spelled_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in capitals, in leading zeros or in a ".0" at the end."""
    first: dict[str, str] = {}
    pairs = []
    for name in sorted(names):
        bare = re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", name)).casefold()
        if (other := first.setdefault(bare, name)) != name:
            pairs.append((other, name))
    return pairs
