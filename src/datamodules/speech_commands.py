"""Speech Commands: 105 829 recordings of 35 words by 2 618 speakers (Warden, arXiv 1804.03209)."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from posixpath import normpath

from auscult.datamodules.audio.listing import audio_files
from auscult.datamodules.clips import OTHERS, Clip, Corpus
from auscult.datamodules.folder import warn_of_left_out
from auscult.datamodules.labels.table import require_table, shortened
from auscult.datamodules.published_split import OTHERWISE, with_parts, without_part
from auscult.mistake import Mistake
from auscult.plain_data import shown

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
NAMED = re.compile(r"(?P<word>[^/_][^/]*)/(?P<speaker>[^/]+)_nohash_[^/]*")  # `_background_noise_` is no word


class SpeechCommands(Corpus):
    """Reads `<root>/<word>/<speaker>_nohash_<number>.wav` (or another ending), and the lists in `LISTS`.

    What neither list names trains. In the published lists, no speaker is in two parts.

    Args:
        root: the folder of the words.
        words: only these; None: all.
        published_split: as the lists say; false: folds of speakers.
    """

    def __init__(self, root: str | Path, words: list[str] | None = None, published_split: bool = True) -> None:
        self.root, self.words, self.is_published = Path(root).expanduser(), words, published_split
        self._part_of: dict[str, str] = {}
        if words is not None and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise Mistake(
                f"data.words={shown(words)} is no list of words; say data.words=[yes,no], in a YAML in quotes."
            )

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`; sorted by path. Also raises a Mistake if a list is missing, or a word is unknown."""
        files = audio_files(self.root)
        matches = {path: match for path in files if (match := NAMED.fullmatch(path))}
        if not matches:
            raise Mistake(
                f"no Speech Commands under data.root={self.root}: point data.root to the folder that holds one folder"
                f" for each word, such as speech_commands_v0.02{self._within(files)}; {OTHERS}."
            )
        words = {match["word"] for match in matches.values()}
        unnamed = [path for path in files if path not in matches and path.split("/")[0] in words]
        warn_of_left_out(unnamed, len(files), "are not named as <speaker>_nohash_<number>")
        wanted = self._wanted(words)
        clips = [
            Clip(path, match["speaker"], {"label": match["word"]})
            for path, match in matches.items()
            if match["word"] in wanted
        ]
        self._part_of = self._parts(files, clips) if self.is_published else {}
        return with_parts(clips, self._part_of)

    def published_split(self) -> Mapping[str, str] | None:
        """See `Corpus.published_split`."""
        return self._part_of if self.is_published else None

    def undivided(self, speaker: str) -> str:
        """See `Corpus.undivided`."""
        return without_part(speaker)

    def _wanted(self, words: set[str]) -> set[str]:
        """The words that are learnt, of those that are there."""
        if self.words is None:
            return words
        if unknown := sorted(set(self.words) - words):
            near = difflib.get_close_matches(unknown[0], sorted(words)) or sorted(words)
            raise Mistake(
                f"data.words names {shown(unknown[0])}, which is no folder under data.root={self.root}; choose of"
                f" {', '.join(map(shortened, near))}."
            )
        return set(self.words)

    def _parts(self, files: list[str], clips: list[Clip]) -> dict[str, str]:
        """Path of each clip -> its part. A converted copy may have other endings than the lists."""
        existing = set(map(_stem, files))
        part_of_stem: dict[str, str] = {}
        for part, name in LISTS.items():
            named = self._listed(name)
            warn_of_left_out(
                [path for path in named if _stem(path) not in existing], len(named), f"in {name} are not there"
            )
            part_of_stem |= dict.fromkeys(map(_stem, named), part)
        return {clip.path: part_of_stem.get(_stem(clip.path), "train") for clip in clips}

    def _listed(self, name: str) -> list[str]:
        """The paths in one of the lists, a line each."""
        try:
            require_table(self.root / name)
            lines = (self.root / name).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise Mistake(
                f"there is no readable {name} under data.root={self.root}: copy it there from the archive of Speech"
                f" Commands; or {OTHERWISE}."
            ) from error
        return [normpath(line.strip().replace("\\", "/")) for line in lines if line.strip()]

    def _within(self, files: list[str]) -> str:
        """Says which folder below `root` holds the words, for a message; empty if none does."""
        for path in files:
            above = path.rpartition("/")[0].rpartition("/")[0]
            if above and NAMED.fullmatch(path.removeprefix(f"{above}/")):
                return f" (say data.root={self.root / above})"
        return ""


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]
