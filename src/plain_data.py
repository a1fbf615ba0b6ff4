"""Copies what a file holds into plain containers, within bounds, before anything else reads it."""

import math
import re
from pathlib import Path
from typing import Any

import yaml

LARGEST_RECORD = 200_000  # bytes; a larger YAML takes seconds to read
MOST_VALUES = 2_000_000  # such as a path per recording of a large corpus
DEEPEST = 24  # containers within containers
LONGEST_TEXT = 20_000  # characters
LARGEST_INT = 2**63


class NotPlain(ValueError):
    """A file holds something other than plain data, or more data than the bounds allow."""


def plain_data(value: Any, most: int = MOST_VALUES) -> Any:
    """A copy of a value in new dicts, lists, strings, numbers, booleans and None.

    A container that stands in several places is copied, and counted, at each. So a few hundred bytes of lists within
    lists cannot keep a reader of the copy busy for hours.

    Args:
        value: as a reader of YAML, JSON or pickles returns it.
        most: the largest number of values in it, all containers counted.

    Raises:
        NotPlain: it holds anything else (tuples, subclasses, tensors), keys that are no strings, numbers that are not
            finite; or it is too large or too deep.
    """
    left = most

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise NotPlain(f"it holds more than {most} values")
        if depth > DEEPEST:
            raise NotPlain(f"it is more than {DEEPEST} containers deep")
        kind = type(value)
        if kind is dict:
            return {_key(key): copied(each, depth + 1) for key, each in value.items()}
        if kind is list:
            return [copied(each, depth + 1) for each in value]
        return _single(value)

    return copied(value, 0)


class _Loader(yaml.SafeLoader):
    """Refuses `<<`, which this program never writes: mappings merged into mappings can outgrow any memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise NotPlain("it merges mappings with <<")


def plain_yaml(text: str) -> Any:
    """What a YAML document says, as `plain_data`.

    Raises:
        NotPlain: it says anything else, or is no YAML.
    """
    if len(text) > LARGEST_RECORD:
        raise NotPlain("it is larger than any that this program writes")
    try:
        return plain_data(yaml.load(text, _Loader), most=LARGEST_RECORD)  # safe: a SafeLoader
    except NotPlain:
        raise
    except Exception as error:  # odd values make PyYAML raise any error
        raise NotPlain(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def text_of(path: Path, most: int = LARGEST_RECORD) -> str:
    """The text of a small file. Raises a ValueError if it has more than `most` bytes."""
    if path.stat().st_size > most:
        raise ValueError(f"{path.name} is larger than any that this program writes")
    return path.read_text(encoding="utf-8")


def _key(key: Any) -> str:
    if type(key) is not str:
        raise NotPlain(f"it has a key of the type {type(key).__name__}")
    return _single(key)


def _single(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        if len(value) > LONGEST_TEXT:
            raise NotPlain(f"it holds a text of {len(value)} characters")
        return value
    if kind is int:
        if not -LARGEST_INT <= value < LARGEST_INT:
            raise NotPlain("it holds a whole number of more than 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise NotPlain("it holds a number that is not finite")
        return value
    raise NotPlain(f"it holds a value of the type {kind.__name__}")


def counted(number: int, noun: str) -> str:
    """A number of things: `1 clip`, `2 clips`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shown(text: Any, most: int = 80) -> str:
    """A text from a file as a message can show it: short, on one line, without control characters."""
    line = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def typed(value: Any) -> str:
    """A value as a message shows it: a number that a YAML has in quotes is a text, and said to be one."""
    is_quoted = isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", value) is not None
    return f"'{value}' (a text, by its quotes)" if is_quoted else str(value)
