"""Takes labels from the folders of recordings, and warns if these folders may mean something else."""

import logging
import os
import re
from collections.abc import Collection, Iterable
from itertools import takewhile
from pathlib import Path

from auscult.datamodules.labels.table import shortened
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

# names of folders that are parts of a corpus and no classes
TRAINED = ("train", "training")
TESTED = ("test", "testing", "eval", "evaluation", "valid", "validation", "val", "dev")
PARTS = {*TRAINED, *TESTED}
PART_COLUMNS = ("fold", "split", "subset", "partition")  # names of columns that name parts of a corpus
# names of speakers' folders in RAVDESS, BIDS, VCTK, VoxCeleb and private corpora
SPEAKERS = re.compile(
    r"(?:actor|speaker|spk|spkr|subject|subj|sub|participant|person|talker|singer|volunteer|patient)[ _-]?\d+"
    r"|p\d{3}|id\d{3,}",
    re.I,
)
FOLDER, INNERMOST = "(?P<{}>[^/]+)/", "(?P<{}>[^/]+)/[^/]*$"  # patterns, to be formatted with the name of a label
EXAMPLES = ("(?P<label>[^/_]+)_[^/]*$", "(?P<label>[^/-]+)-[^/]*$", r"(?P<label>[^\W\d_]+)\d+\.\w+$")


def labels_of_folders(files: list[str]) -> dict[str, dict[str, str]]:
    """Path -> label -> value, for the files that lie in the folder of a class.

    Raises:
        Mistake: the folders are no classes.
    """
    rows = {path: {"label": os.path.basename(os.path.dirname(path))} for path in files if "/" in path}
    labels = {row["label"] for row in rows.values()}
    if labels and {name.lower() for name in labels} <= PARTS:
        raise Mistake(
            f"the recordings lie in {' and '.join(sorted(labels))}, which are parts of a corpus and no classes: "
            "name their labels by data.pattern or data.csv."
        )
    if len(labels) == 1 and len(rows) == len(files):
        raise Mistake(
            f"all recordings lie in folders named {shortened(min(labels))}, which makes one class; two or more are"
            f" needed: data.pattern or data.csv can name others{_example(files)}."
        )
    if len(labels) < 2:
        raise Mistake(
            "data.pattern and data.csv are not set, and the recordings do not lie in a folder for each class: one "
            f"of the three has to name the labels{_example(files)}."
        )
    _require_one_depth({os.path.dirname(path) for path in rows})
    return rows


def _example(files: list[str]) -> str:
    """A pattern that takes a label from the name of a file, for a message; empty if no simple pattern fits."""
    for pattern in EXAMPLES:
        for path in files[:100]:
            if match := re.search(pattern, path):
                label = shortened(match["label"])
                return (
                    f", such as 'data.pattern={pattern}', which takes {label} from {shortened(path)}; a task names its"
                    " own group, as task=digit does (?P<digit>…), and so does a speaker, (?P<speaker>…)"
                )
    return ""


def pattern_without(names: list[str]) -> str:
    """A pattern that takes the folders of recordings for classes, except the named ones."""
    return f"(?:^|/)(?P<label>(?!(?:{'|'.join(map(re.escape, names))})/)[^/]+)/[^/]*$"


def _require_one_depth(folders: set[str]) -> None:
    """Raises a Mistake if a folder with recordings lies within another one: the two cannot both be classes."""
    for inner in sorted(folders):
        outer = inner
        while outer := os.path.dirname(outer):
            outer_name, inner_name = os.path.basename(outer), os.path.basename(inner)
            if outer not in folders or outer_name == inner_name:
                continue
            holder = shortened(outer)
            within = f"the folder {shortened(inner)} of a class lies within {holder}, which holds recordings, too"
            if outer_name.lower() in PARTS:
                raise Mistake(f"{within}: move those of {holder} to the folders of their classes.")
            pattern = f"^{'[^/]+/' * outer.count('/')}{FOLDER.format('label')}"
            raise Mistake(
                f"{within}: 'data.pattern={pattern}' takes {shortened(outer_name)} for the class of both, and"
                f" 'data.pattern={INNERMOST.format('label')}' takes the innermost folders."
            )


def warn_of_folders(paths: list[str], root: Path) -> None:
    """Warns if folders above those of classes may mean something, or if folders of classes look like speakers.

    Args:
        paths: the recordings, each in the folder of a class.
    """
    folders = [path.split("/")[:-1] for path in paths]
    parts = [next((i + 1 for i, name in enumerate(each[:-1]) if name.lower() in PARTS), 0) for each in folders]
    _warn_of_parts({"/".join(each[:end]) for each, end in zip(folders, parts, strict=True) if end}, root)
    below = [each[end:] for each, end in zip(folders, parts, strict=True)]
    above = zip(*(each[:-1] for each in below), strict=False)
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, above))
    skipped = shared + max(parts)
    nested = [each[shared:] for each in below if len(each) > shared + 1]
    inner, outer = {each[-1] for each in below}, {each[0] for each in nested}
    start = f"^{'[^/]+/' * skipped}"
    if len(outer) > 1 and len({(each[0], each[-1]) for each in nested}) > len({each[-1] for each in nested}):
        log.warning(
            "classes are the folders in which recordings lie (%s, …), not those above (%s, …): 'data.pattern=%s' takes"
            " those above for classes and the next for speakers, and 'data.pattern=%s' takes those above for speakers"
            " and the next for classes.",
            shortened(min(each[-1] for each in nested)), shortened(min(outer)),
            *(f"{start}{FOLDER.format(first)}{FOLDER.format(second)}" for first, second in (
                ("label", "speaker"), ("speaker", "label"),
            )),
        )  # fmt: skip
    elif all(SPEAKERS.fullmatch(name) for name in inner):
        way_out = "data.pattern or data.csv names other classes"
        if len(outer) > 1:
            pattern = f"{start}{FOLDER.format('label')}{FOLDER.format('speaker')}"
            way_out = f"'data.pattern={pattern}' takes those above for classes"
        log.warning(
            "the folders in which recordings lie (%s, …) look like speakers, and are taken for classes: %s.",
            shortened(min(inner)), way_out,
        )  # fmt: skip


def _warn_of_parts(parts: set[str], root: Path) -> None:
    """Warns that folds do not keep the parts of a corpus, such as train and test; `parts` are their folders."""
    by_name = {os.path.basename(part).lower(): part for part in sorted(parts, reverse=True)}
    if len(by_name) < 2:
        return
    test = next(name for name in TESTED if name in by_name)
    train = next(name for name in (*TRAINED, *reversed(TESTED)) if name in by_name and name != test)
    log.warning(
        "the parts %s of the corpus are not kept: folds are made of all their recordings; to keep them, train on"
        " data.root=%s and test by explain.py input=%s 'data.pattern=%s'",
        ", ".join(sorted(by_name.values())), root / by_name[train], root / by_name[test], INNERMOST.format("label"),
    )  # fmt: skip


def warn_of_part_columns(columns: Iterable[str], rows: Collection[dict[str, str]]) -> None:
    """Warns that folds do not keep the parts of a corpus that a table's column or a pattern's group names."""
    for column in columns:
        parts = {row[column].lower() for row in rows if row.get(column)}
        if len(parts) > 1 and (parts <= PARTS or column.lower() in PART_COLUMNS):
            some = ", ".join([*map(shortened, sorted(parts)[:5]), *["…"] * (len(parts) > 5)])
            log.warning(
                "the parts of the corpus that the column or group %s names (%s) are not kept: folds are made anew over"
                " all of them; to keep them, train on the recordings of one part, and test by explain.py input=… on"
                " those of another", shortened(column), some,
            )  # fmt: skip
            return
