"""Reads the labels of speakers from a table, such as AudioMNIST's metadata."""

import json
from collections import Counter
from pathlib import Path

from auscult.datamodules.labels.table import composed, names_of, read_table, require_table, shortened
from auscult.mistake import Mistake


def labels_of_speakers(path: Path, option: str) -> dict[str, dict[str, str]]:
    """Reads speaker -> label -> value.

    Args:
        path: a CSV table with a column "speaker" and one column per label, or a JSON object of objects like
            AudioMNIST's audioMNIST_meta.txt. Its "gender" becomes the label "sex".
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
    if "speaker" not in columns or len(columns) < 2:
        raise Mistake(f"{option}={path} needs a column 'speaker' and a column per label; it has {names_of(columns)}.")
    people = {row["speaker"]: {name: value for name, value in row.items() if name != "speaker"} for row in rows}
    repeated = sorted(name for name, count in Counter(row["speaker"] for row in rows).items() if count > 1)
    if repeated:
        raise Mistake(
            f"{option}={path} names {len(repeated)} speakers more than once, such as {shortened(repeated[0])};"
            " keep one row per speaker (a table with one row per recording belongs to data.csv)."
        )
    return people
