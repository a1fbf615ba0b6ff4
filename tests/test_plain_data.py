"""YAML from somebody else: data within bounds, or one reason."""

import time

import pytest
import yaml

from auscult.plain_data import LARGEST_RECORD, NotPlain, plain_yaml


def test_what_is_written_here_is_read():
    shared = [1, 2.5]
    config = {"a": shared, "b": shared, "c": None, "d": True, "e": "text: with \u00e9", "f": {"<": 1}}
    assert plain_yaml(yaml.safe_dump(config)) == config  # which writes an alias


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
        "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
        "&a [*a]", "[" * 90_000, "- " * 90_000, "x: 1" + ":1" * 90_000, "x: 1.5" + ":1" * 90_000, "x: 2001-99-99",
        "!!python/object/apply:os.getcwd []", "!!python/name:os.getcwd", "!!binary aGk=", "!!set {a}", "=: 1", "a: *b",
        "? [a]\n: 1", "1: 2", "x: .nan", "x: " + "9" * 5000, "%", "\x00", "x" * (LARGEST_RECORD + 1),
    ],
)  # fmt: skip
def test_all_else_is_refused_soon(text):
    started = time.process_time()
    with pytest.raises(NotPlain):
        plain_yaml(text)
    assert time.process_time() - started < 10
