"""Keeps the prepared clips of a corpus in one memory-mapped file, so that recordings are decoded only once."""

import copy
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from auscult.datamodules.audio.audio_file import TRIED_AGAIN
from auscult.datamodules.cache_entries import INDEX, SKIPPED, Entry, checksum, ends_of, read_entries
from auscult.datamodules.cache_files import build, map_samples
from auscult.datamodules.clips import MISSING, Clip, Corpus
from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

FORMAT = 3  # part of the key: raise it when the cache's files or the results of `recording.prepare` change


@dataclass(frozen=True, eq=False)
class Cache:
    """The clips that can be used. Arrays and lists are in the corpus's order, without the skipped recordings."""

    folder: Path
    clips: list[Clip]
    channels: int  # C, of each clip
    words: int  # of 16 bits in each sample
    lengths: np.ndarray  # (N,) int64, samples of a channel
    starts: np.ndarray  # (N,) int64, where each clip begins in its recording, in samples at the clips' rate
    cut: np.ndarray  # (N,) bool, whether each recording was too long
    skipped: list[tuple[str, str]]  # path and reason of each bad recording
    checksums: np.ndarray  # (N,) uint32, of each clip's samples
    _memory: np.ndarray  # (sum of lengths,) int16
    _ends: np.ndarray  # (N,) int64, where each clip ends in _memory
    _checked: np.ndarray  # (N,) bool, whether this process has compared the checksum

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def paths(self) -> list[str]:
        """(N,) paths of the clips that were kept."""
        return [clip.path for clip in self.clips]

    def samples(self, i: int) -> np.ndarray:
        """Clip i, (C, L) int16, or float32 if clips are untouched, a read-only view.

        Raises:
            Mistake: its samples have changed since they were written; the next `open_cache` builds the cache again.
        """
        end = self._ends[i]
        words = self._memory[end - self.words * self.channels * self.lengths[i] : end]
        if not self._checked[i]:
            if checksum(words) != self.checksums[i]:
                raise self._damaged(self.clips[i])
            self._checked[i] = True
        return (words if self.words == 1 else words.view("<f4")).reshape(self.channels, -1)

    def _damaged(self, clip: Clip) -> Mistake:
        damage = f"the cache in {self.folder} (data.cache_dir) is damaged: its samples of {clip.path} have changed"
        try:
            (self.folder / INDEX).unlink(missing_ok=True)
        except OSError as error:
            return Mistake(
                f"{damage}, and it cannot be removed ({error.strerror}): set data.cache_dir to another folder."
            )
        return Mistake(f"{damage}: repeat the command, which builds the cache again.")


def open_cache(
    corpus: Corpus, clips: Sequence[Clip], settings: ClipSettings, folder: str | Path, option: str = "data.root"
) -> Cache:
    """Opens the cache of `clips`. Builds it first if there is none, or if recordings were changed, added or removed.

    A new build copies unchanged clips and decodes the others. Any number of processes may call this at once: one
    builds, the others wait. An open cache stays valid when another process replaces it.

    Args:
        option: the option that names the recordings, for messages.

    Raises:
        Mistake: `data.cache_dir` cannot be written, or no recording can be used.
    """
    stamps = [corpus.stamp(clip) for clip in clips]
    home = _home(corpus, settings, folder)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            entries = read_entries(home)
            if entries is None or not _is_current(entries, clips, stamps):
                entries = build(corpus, clips, stamps, settings, home, entries or [])
            memory = map_samples(home, entries)
        _remember(corpus, settings, folder)
    except OSError as error:
        if shared := _shared(home, clips, stamps, settings):
            return _report(shared, option)
        raise Mistake(
            f"data.cache_dir={folder} cannot hold the prepared recordings ({error.strerror or error}): make room "
            "there, or set data.cache_dir to a folder that can be written."
        ) from error
    return _report(_assemble(home, clips, entries, memory, settings), option)


def has_prepared(corpus: Corpus, settings: ClipSettings, folder: str | Path) -> bool:
    """Whether `open_cache` was called for these recordings before, in this version of the format or an earlier one.

    The recordings' own path is never accessed, as it may lead to another machine on the network.
    """
    written = _as_written(corpus)
    homes = [_home(written, settings, folder, number) for number in range(1, FORMAT + 1)]
    return any(home.exists() for home in (*homes, _known(homes[-1])))


class _Written(type(Path())):  # type: ignore[misc]
    """A path that is taken as it is written: links in it are not followed."""

    def resolve(self, strict: bool = False) -> "_Written":
        return self


def _as_written(corpus: Corpus) -> Corpus:
    written = copy.copy(corpus)
    if hasattr(corpus, "root"):
        written.root = _Written(os.path.abspath(corpus.root))
    return written


def _known(home: Path) -> Path:
    """The file that marks a cache as made, under the name that its recordings were asked for by."""
    return home.with_name(f"{home.name}.known")


def _remember(corpus: Corpus, settings: ClipSettings, folder: str | Path) -> None:
    home = _home(_as_written(corpus), settings, folder)
    if not home.exists():  # the path as written leads through links
        with suppress(OSError):
            _known(home).touch()


def _home(corpus: Corpus, settings: ClipSettings, folder: str | Path, format: int = FORMAT) -> Path:
    own = asdict(settings)
    for option in ("preparation", "channels"):  # keeps the keys of caches from before these options
        if own[option] == getattr(ClipSettings, option):
            del own[option]
    content = {"corpus": corpus.identity(), "settings": own, "format": format}
    key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return Path(folder).expanduser() / f"{type(corpus).__name__.lower()}-{key}"


def _locked(home: Path) -> AbstractContextManager[object]:
    lock = FileLock(home.with_name(home.name + ".lock"))
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        log.info("another process is preparing the recordings; waiting for it.")
        return lock.acquire()


def _shared(home: Path, clips: Sequence[Clip], stamps: list[str], settings: ClipSettings) -> Cache | None:
    """Opens a finished cache in a folder that can be read but not written, as several people may share one."""
    try:
        entries = read_entries(home)
        if entries is None or not _is_current(entries, clips, stamps):
            return None
        return _assemble(home, clips, entries, map_samples(home, entries), settings)
    except OSError:
        return None


def _is_current(entries: list[Entry], clips: Sequence[Clip], stamps: list[str]) -> bool:
    return len(entries) == len(clips) and all(
        entry.path == clip.path
        and entry.stamp == stamp
        and (stamp == MISSING or not entry.reason.startswith(TRIED_AGAIN))  # a missing file stays unreadable
        for entry, clip, stamp in zip(entries, clips, stamps, strict=True)
    )


def _assemble(
    home: Path, clips: Sequence[Clip], entries: list[Entry], memory: np.ndarray, settings: ClipSettings
) -> Cache:
    words = 2 if settings.preparation == "untouched" else 1
    kept = [entry for entry in entries if not entry.reason]
    return Cache(
        folder=home,
        clips=[clip for clip, entry in zip(clips, entries, strict=True) if not entry.reason],
        channels=settings.channels,
        words=words,
        lengths=np.array([entry.length for entry in kept], dtype=np.int64) // (settings.channels * words),
        starts=np.array([entry.start for entry in kept], dtype=np.int64),
        cut=np.array([entry.cut for entry in kept], dtype=bool),
        skipped=[(entry.path, entry.reason) for entry in entries if entry.reason],
        _memory=memory,
        _ends=ends_of(kept),
        checksums=np.array([entry.checksum for entry in kept], dtype=np.uint32),
        _checked=np.zeros(len(kept), dtype=bool),
    )


def _report(cache: Cache, option: str) -> Cache:
    count = len(cache) + len(cache.skipped)
    if not cache.clips:
        path, reason = cache.skipped[0] if cache.skipped else ("nothing", "no recordings")
        way_out = f"point {option} to other recordings"
        if option != "input" and all(other_reason.startswith("too short") for _, other_reason in cache.skipped):
            way_out = "lower data.clip.min_seconds"
        raise Mistake(
            f"none of the {count} recordings under {option} can be used ({path}: {reason}): see all reasons in "
            f"{cache.folder / SKIPPED}, and {way_out}."
        )
    if cache.skipped:
        log.warning(
            "%d of %d recordings cannot be used and are skipped: %s lists them with the reasons.",
            len(cache.skipped), count, cache.folder / SKIPPED,
        )  # fmt: skip
    if cache.cut.any():
        log.info(
            "%d of %d recordings are longer than a clip%s and were cut to the part with most energy.", cache.cut.sum(),
            count, "" if option == "input" else " (data.clip.seconds)",
        )  # fmt: skip
    return cache
