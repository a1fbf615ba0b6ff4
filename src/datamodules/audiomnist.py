"""AudioMNIST: 30 000 recordings of the English digits by 60 speakers (Becker et al., arXiv 1807.03418)."""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from auscult.datamodules.clips import OTHERS, Clip, Corpus
from auscult.datamodules.labels.table import require_table
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

# The head of the default branch in January 2026. No checksum of the archive is published, and it may change with the
# packer. So the revision is pinned, and the recordings in the archive are counted.
URL = "https://github.com/soerenab/AudioMNIST/archive/630d7dab4c040882834de6fa21baf9a60372accd.zip"
CLIPS, SPEAKERS = 30_000, 60

# Published speakers of each test fold: fold f tests on group f, validates on group f - 1 (modulo the number of folds)
# and trains on the rest. The groups of "sex" are balanced: 12 female and 12 male speakers.
PUBLISHED_FOLDS: dict[str, list[list[str]]] = {
    "digit": [
        ["26", "52", "60", "18", "32", "42", "05", "13", "22", "33", "45", "51"],
        ["28", "56", "07", "19", "35", "01", "06", "16", "23", "34", "46", "53"],
        ["36", "57", "09", "24", "37", "02", "08", "17", "29", "39", "48", "54"],
        ["43", "58", "14", "25", "38", "03", "10", "20", "30", "40", "49", "55"],
        ["12", "47", "59", "15", "27", "41", "04", "11", "21", "31", "44", "50"],
    ],
    "sex": [
        ["58", "59", "60", "07", "23", "38"],
        ["36", "47", "56", "02", "44", "50"],
        ["26", "12", "57", "25", "37", "45"],
        ["43", "28", "52", "48", "53", "41"],
    ],
}

FEMALE: frozenset[str] = frozenset(["12", "26", "28", "36", "43", "47", "52", "56", "57", "58", "59", "60"])


class AudioMNIST(Corpus):
    """Reads `<root>/data/<speaker>/<digit>_<speaker>_<repetition>.wav` and `audioMNIST_meta.txt` (JSON).

    Only the sex is read from the metadata. Ages are not reliable: that of speaker 45 is 1234 (the repository's issue
    10).

    Args:
        root: the repository's folder, or the `data` folder in it.
        download: download the public repository (about 1 GB) if there are no recordings yet.
        url: the ZIP archive to download.
    """

    def __init__(self, root: str | Path, download: bool = False, url: str = URL) -> None:
        self.root = Path(root).expanduser()
        self.download = download
        self.url = url

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`. Also raises a Mistake if the download fails or the metadata are not JSON."""
        clips = spoken_digits(self.root)
        if not clips and self.download:
            from auscult.datamodules.download import fetch  # only now: few download, and it takes a while to import

            fetch(self.url, self.root, self._check_archive)
            clips = spoken_digits(self.root)
        if not clips:
            raise Mistake(
                f"no AudioMNIST recordings under data.root={self.root}: point data.root to a copy of "
                "github.com/soerenab/AudioMNIST, or set data.download=true to fetch one (about 1 GB); "
                f"{OTHERS}."
            )
        return with_labels(clips, self._people())

    def published_folds(self, task: str) -> list[list[str]] | None:
        """See `Corpus.published_folds`."""
        return PUBLISHED_FOLDS.get(task)

    def _check_archive(self, folder: Path) -> None:
        clips = spoken_digits(folder)
        speakers = {clip.speaker for clip in clips}
        if self.url == URL and (len(clips), len(speakers)) != (CLIPS, SPEAKERS):
            raise Mistake(
                f"the archive at data.url={self.url} holds {len(clips)} recordings of {len(speakers)} speakers "
                f"instead of {CLIPS} of {SPEAKERS}: fetch AudioMNIST by hand and point data.root to it."
            )
        if not clips:
            raise Mistake(f"the archive at data.url={self.url} holds no recordings in AudioMNIST's layout.")

    def _people(self) -> dict[str, dict[str, str]]:
        """Speaker -> sex (male or female) and age as it was typed, for the speakers in the metadata file."""
        for path in (self.root / "data" / "audioMNIST_meta.txt", self.root / "audioMNIST_meta.txt"):
            try:
                require_table(path)
                people = json.loads(path.read_text(encoding="utf-8"))
                labels = {speaker: _labels(person) for speaker, person in people.items()}
                if not all(isinstance(each.get("sex", ""), str) for each in labels.values()):
                    raise TypeError("a sex that is no text")
                return labels
            except OSError:
                continue
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise Mistake(
                    f"{path} is not the JSON file of AudioMNIST: fetch it again, or remove it to train tasks that need "
                    "no metadata."
                ) from error
        log.warning("there is no readable audioMNIST_meta.txt under %s: nothing is known of its speakers.", self.root)
        return {}


def _labels(person: Mapping[str, Any]) -> dict[str, Any]:
    sex = {"sex": person["gender"]} if "gender" in person else {}
    return sex | ({"age": str(person["age"])} if "age" in person else {})


def spoken_digits(root: Path) -> list[Clip]:
    """Lists the recordings `<digit>_<speaker>_<number>.wav` or `.flac` in the speakers' folders (AudioMNIST's layout).

    The clips have the label "digit" and are sorted by speaker, digit and number; the list may be empty.

    Raises:
        Mistake: `root` cannot be read, or is a file.
    """
    if root.exists() and not root.is_dir():
        raise Mistake(f"data.root={root} is not a folder: point it to the folder of the recordings.")
    named = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<number>\d+)\.(wav|flac)", re.IGNORECASE)
    recordings: list[tuple[str, str, int, str]] = []
    try:
        for data in (root / "data", root):
            for folder in [entry for entry in os.scandir(data) if entry.is_dir()] if data.is_dir() else []:
                within = (data / folder.name).relative_to(root).as_posix()
                for name in os.listdir(folder):
                    if match := named.fullmatch(name):
                        recordings.append((match["speaker"], match["digit"], int(match["number"]), f"{within}/{name}"))
            if recordings:
                break
    except OSError as error:
        raise Mistake(f"data.root={root} cannot be read ({error.strerror}): check its permissions.") from error
    return [Clip(path, speaker, {"digit": digit}) for speaker, digit, _, path in sorted(recordings)]


def with_labels(clips: list[Clip], people: Mapping[str, Mapping[str, str]]) -> list[Clip]:
    """Adds what is known of the speakers; warns of those whose sex is not known."""
    unknown = sorted({clip.speaker for clip in clips if "sex" not in people.get(clip.speaker, {})})
    if people and unknown:
        log.warning("no metadata for speakers %s: tasks that need it leave them out.", ", ".join(unknown))
    return [replace(clip, labels={**clip.labels, **people.get(clip.speaker, {})}) for clip in clips]
