"""The pattern that reads labels from the names of recordings."""

import logging
import os
import re

from auscult.datamodules.labels.table import composed, shortened
from auscult.datamodules.labels.table_paths import PATH_COLUMNS
from auscult.mistake import Mistake
from auscult.plain_data import shown

log = logging.getLogger(__name__)


def compiled(pattern: str, has_labels: bool) -> re.Pattern[str]:
    """Compiles data.pattern.

    Args:
        has_labels: whether labels also come from elsewhere; the pattern then need not name any.

    Raises:
        Mistake: the pattern is no regular expression, or names no label.
    """
    try:
        result = re.compile(composed(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        way_out = shown(error)
        if pattern.startswith("*"):
            way_out = "it is a shell's pattern; say what names look like, such as (?P<digit>\\d)_(?P<speaker>[^_]+)"
        elif re.search(r"\(\?<[^\W\d]", pattern):
            way_out = "names of groups are written (?P<digit>…), with a P"
        raise Mistake(f"data.pattern={shown(pattern, 200)} is not a regular expression: {way_out}.") from error
    if not (has_labels or result.groupindex):
        raise Mistake(
            f"data.pattern={pattern} names no label: give its groups names, such as (?P<digit>\\d) or (?P<sex>[mf])."
        )
    return result


def warn_of_endings(rows: dict[str, dict[str, str]]) -> None:
    """Warns if a label includes the ending of its file: the same word in two formats would be two classes."""
    for path, row in rows.items():
        ending = os.path.splitext(path)[1]
        for name, value in row.items():
            if name not in PATH_COLUMNS and value != ending and value.endswith(ending):
                log.warning(
                    "data.pattern includes the ending of files, such as %s for the %s of %s: end the group before"
                    " the dot, such as by (?P<%s>[^/.]+)", shortened(value), name, shortened(path), name,
                )  # fmt: skip
                return
