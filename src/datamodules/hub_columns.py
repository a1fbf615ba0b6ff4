"""What the columns of a data set of Hugging Face hold: recordings, their labels and speakers."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auscult.datamodules.labels.speakers import SPEAKER_COLUMNS
from auscult.datamodules.labels.table import shortened
from auscult.datamodules.labels.table_paths import column_among
from auscult.mistake import Mistake
from auscult.plain_data import shown

if TYPE_CHECKING:
    from datasets import Dataset

LISTS = ("List", "LargeList", "Sequence")  # types of columns with several values in a row
MOST_NAMED = 20  # columns, in a message
READ = ("string", "large_string", "int", "uint", "float", "bool")  # how types of labels begin, beside classes


def audio_column(features: Mapping[str, Any], asked: str | None) -> str:
    """The column of the recordings.

    Args:
        features: the type of each column.
        asked: `data.audio`.

    Raises:
        Mistake: there is none, or there are several, or `data.audio` is none.
    """
    columns = [name for name, feature in features.items() if _is_audio(feature)]
    if asked is None and len(columns) == 1:
        return columns[0]
    if not columns:
        raise Mistake(f"the data set has no column of recordings (Audio), only {_named(features)}; name another one.")
    if asked is None:
        raise Mistake(f"the data set has several columns of recordings: say data.audio={' or '.join(columns)}.")
    if asked not in columns:
        raise Mistake(
            f"data.audio={shown(asked)} is no column of recordings; say {' or '.join(columns)}, or leave it out."
        )
    return asked


def speaker_column(features: Mapping[str, Any], asked: str | None) -> str | None:
    """The column of the speakers; None if there is none.

    Args:
        asked: `data.speaker`.

    Raises:
        Mistake: `data.speaker` is no column of labels.
    """
    columns = [name for name, feature in features.items() if _is_label(feature)]
    if asked is None:
        return column_among(columns, SPEAKER_COLUMNS)
    if asked not in columns:
        raise Mistake(f"data.speaker={shown(asked)} is no column of names; the data set has {_named(columns)}.")
    return asked


def rows_of(split: "Dataset", speaker: str | None) -> list[dict[str, str]]:
    """The labels of each row, column -> name, without unknown ones; with the speaker as "speaker".

    Args:
        speaker: the column of the speakers.
    """
    features = split.features
    columns = [name for name, feature in features.items() if _is_label(feature)]
    if not columns:
        return [{} for _ in range(len(split))]
    table = split.select_columns(columns).with_format("arrow")[:]
    texts = {name: _texts(features[name], table[name].to_pylist()) for name in columns}
    if speaker is not None:
        texts["speaker"] = texts.pop(speaker)
    classes = [name for name in texts if name != "speaker" and _has_names(features.get(name))]
    if "label" not in texts and len(classes) == 1:
        texts["label"] = texts[classes[0]]
    return [
        {name: text for name, text in zip(texts, row, strict=True) if text} for row in zip(*texts.values(), strict=True)
    ]


def files_of(split: "Dataset", audio: str) -> list[str | None]:
    """The file of each row's recording, if the row does not hold its bytes; reads no recording.

    Args:
        audio: the column of the recordings.
    """
    from pyarrow import compute

    column = split.select_columns([audio]).with_format("arrow")[:][audio]
    held = compute.is_valid(compute.struct_field(column, "bytes")).to_pylist()
    paths = compute.struct_field(column, "path").to_pylist()
    return [None if is_held else path for is_held, path in zip(held, paths, strict=True)]


def _is_audio(feature: Any) -> bool:
    """Whether a column holds recordings; tables that other libraries write have no name for the type."""
    if isinstance(feature, Mapping):
        return set(feature) == {"bytes", "path"} and getattr(feature["bytes"], "dtype", "") in (
            "binary",
            "large_binary",
        )
    return type(feature).__name__ == "Audio"


def _has_names(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel"


def _is_label(feature: Any) -> bool:
    if type(feature).__name__ in LISTS:  # such as tags
        return _is_label(feature.feature)
    return _has_names(feature) or (type(feature).__name__ == "Value" and feature.dtype.startswith(READ))


def _texts(feature: Any, values: list[Any]) -> list[str]:
    """The names of classes, or values as texts, those of a list with semicolons; empty where they are unknown."""
    if type(feature).__name__ in LISTS:
        return [";".join(filter(None, _texts(feature.feature, value or []))) for value in values]
    if _has_names(feature):
        return ["" if value is None or value < 0 else feature.names[value] for value in values]
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers are floats in a column with gaps
    return str(value).strip()


def _named(columns: Any) -> str:
    """The names of columns, for a message."""
    names = list(map(shortened, columns))
    return ", ".join(names[:MOST_NAMED]) + (", …" if names[MOST_NAMED:] else "") or "none"
