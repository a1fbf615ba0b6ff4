"""Turns the clips of a fold into batches of waveforms."""

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from auscult.datamodules.cache import open_cache
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.confound import Confound
from auscult.datamodules.copies import differently_labelled, warn_of_two_formats, without_copies
from auscult.datamodules.dataset import Batch, ClipDataset, loader
from auscult.datamodules.division import Division, corpus_of
from auscult.datamodules.excerpts import SOURCE
from auscult.datamodules.folds import Split
from auscult.datamodules.recording import ClipSettings

log = logging.getLogger(__name__)


class AudioDataModule(LightningDataModule):
    """One task on one speaker fold of one corpus; `Corpus.unit` says what counts as a speaker.

    A batch is `{"waveform": (B, 1, T) float32, "label": …, "clip": (B,) int64}`; `clip` indexes `clips`. The label is a
    class, (B,) int64, tags, (B, C) float32, or a number, (B,) float32: see `kinds`.
    In training, a clip's place in the silence around it depends on seed, epoch and clip. With `is_fixed`, and in
    evaluation, it depends only on the clip. The number of processes changes neither.

    Args:
        corpus: where the clips are.
        task: `{name, kind, label, classes, folds, balance, fold_seed}`, see `conf/task`.
        fold: which of the task's folds to test on.
        settings: how recordings become clips.
        cache_dir: the folder of the caches.
        batch_size: clips per step, over all processes.
        seed: decides the order and the places of training clips.
        speakers: the speakers of "train", "validation" and "test" of a checkpoint, instead of the fold's.
        confound: what is planted into the clips of all splits.
        shuffle_labels: exchange the labels of training clips at random, as a control that learns nothing of the task.
        is_fixed: training clips, too, keep one place in the silence for all epochs.
    """

    def __init__(
        self,
        corpus: Corpus,
        task: dict[str, Any],
        fold: int,
        settings: ClipSettings,
        cache_dir: Path,
        batch_size: int,
        seed: int,
        speakers: dict[str, list[str]] | None = None,
        confound: Confound | None = None,
        shuffle_labels: bool = False,
        is_fixed: bool = False,
    ) -> None:
        super().__init__()
        self.corpus, self.task, self.fold, self.settings = corpus, task, fold, settings
        self.cache_dir, self.batch_size, self.seed, self.given_speakers = cache_dir, batch_size, seed, speakers
        self.confound, self.shuffle_labels, self.is_fixed = confound, shuffle_labels, is_fixed

    @classmethod
    def from_config(
        cls, config: dict[str, Any], speakers: dict[str, list[str]] | None = None, division: Division | None = None
    ) -> "AudioDataModule":
        """Builds the data module that a resolved configuration (plain containers) describes.

        Args:
            division: the division of this configuration, if it exists already.
        """
        data = config["data"]
        module = cls(
            corpus=division.corpus if division else corpus_of(config),
            task=config["task"],
            fold=config["fold"],
            settings=ClipSettings(**data["clip"]),
            cache_dir=Path(data["cache_dir"]).expanduser(),
            batch_size=data["batch_size"],
            seed=config["seed"],
            speakers=speakers,
            confound=Confound.from_config(config),
            shuffle_labels=data.get("shuffle_labels", False),  # checkpoints from before it was an option have none
            is_fixed=data.get("placement") == "fixed",  # likewise
        )
        if division:
            module.division = division
        return module

    @property
    def clips(self) -> list[Clip]:
        """The clips of the division, with or without a place in the split."""
        return self.division.clips

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return self.division.classes

    @property
    def split(self) -> Split:
        """The positions in `clips` that train, validate and test."""
        return self.division.split

    @property
    def unit(self) -> str:
        """What counts as a speaker, see `Corpus.unit`."""
        return self.division.unit

    def find(self) -> None:
        """Lists the clips and divides them as if all of them could be used; reads no recording.

        Raises:
            Mistake: see `setup`.
        """
        self.division = Division(self.corpus, self.task, self.fold, self.given_speakers, self.confound)

    def setup(self, stage: str | None = None) -> None:
        """Opens (or builds) the cache and divides the clips that can be used; only once per process.

        Raises:
            Mistake: there are no clips, or they do not serve the task or the fold.
        """
        if hasattr(self, "cache"):
            return
        if not hasattr(self, "division"):
            self.find()
        self.cache = open_cache(self.corpus, self.clips, self.settings, self.cache_dir)
        self.division.keep(self.cache.clips)
        self._warn_of_unheard()
        self._part_copies()
        warn_of_two_formats(self.split, self.clips)
        self._warn_of_shared_sources()
        self._warn_of_unlabelled()

    def _warn_of_unheard(self) -> None:
        """Warns of classes in `task.classes` that no clip has, unless the classes come from a checkpoint."""
        if self.task["classes"] is None or self.given_speakers is not None:
            return
        unheard = set(self.classes) - set(self.division.kind.names(self.clips))
        if unheard:
            named = " or ".join(sorted(unheard))
            log.warning("no clip is labelled %s (task.classes): the network cannot learn it.", named)

    def _part_copies(self) -> None:
        """Removes copies, so that recordings with the same samples are not in two parts of the split."""
        parted, copies = without_copies(self.split, self.cache)
        if not copies:
            return
        example = " of ".join(copies[0]) + differently_labelled(copies, self.clips, self.task["label"])
        labels_in = self.division.labels_in
        if any(labels_in(part) != labels_in(whole) for part, whole in zip(parted, self.split, strict=True)):
            log.warning(
                "%d recordings of training or validation are copies of what is tested or validated, such as %s; they"
                " stay, as a class would lose all its clips: accuracies mean little.", len(copies), example,
            )  # fmt: skip
            return
        self.division.split = parted
        log.warning(
            "%d recordings are left out of training or validation, as they are copies of what is tested or validated,"
            " such as %s.", len(copies), example,
        )  # fmt: skip

    def _warn_of_shared_sources(self) -> None:
        """Warns under `random_split` of test clips that are cut from the same source as training clips."""
        if not getattr(self.corpus, "random_split", False):
            return
        trained = {self.clips[clip].labels[SOURCE] for clip in self.split.train}
        test = [self.clips[clip].labels[SOURCE] for clip in self.split.test]
        shared = sum(source in trained for source in test)
        log.warning(
            "data.random_split=true: clips of one source are in training and in test. Of %d test clips, %d (%.0f %%)"
            " share their source with training clips, and the test clips also validate: accuracies say little about"
            " other sources.", len(test), shared, 100 * shared / max(1, len(test)),
        )  # fmt: skip

    def training_labels(self) -> np.ndarray:
        """What the network is to answer for the training clips, (N, ...)."""
        return self.evaluation_dataset(self.split.train).labels

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the training clips, in an order that depends only on seed and epoch."""
        train = self.split.train
        dataset = self.evaluation_dataset(train) if self.is_fixed else self._dataset(train, self._epoch_places)
        if self.shuffle_labels:
            dataset.labels = np.random.default_rng(self.seed).permutation(dataset.labels)
        sampler: DistributedSampler[Batch] = DistributedSampler(
            dataset, num_replicas=self._processes, rank=self._rank, shuffle=True, seed=self.seed
        )  # Lightning tells it each epoch, so the order depends only on seed and epoch, also after a resume
        return self._loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation clips, each clip at its own place."""
        return self._evaluation_loader(self.split.validation)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test clips, each clip at its own place."""
        return self._evaluation_loader(self.split.test)

    def counts(self) -> dict[str, int]:
        """Clips and speakers of each split, and how many recordings were skipped or cut."""
        counts = {"clips/skipped": len(self.cache.skipped), "clips/cut": int(self.cache.cut.sum())}
        for name, speakers in self.speakers().items():
            counts[f"clips/{name}"] = len(getattr(self.split, name))
            counts[f"{self.unit}s/{name}"] = len(speakers)
        return counts

    def speakers(self) -> dict[str, list[str]]:
        """Speakers of each split, in alphabetical order."""
        return {
            name: sorted({self.clips[index].speaker for index in getattr(self.split, name)})
            for name in ("train", "validation", "test")
        }

    @property
    def _processes(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    def _warn_of_unlabelled(self) -> None:
        unlabelled = [clip for clip in self.clips if self.task["label"] not in clip.labels]
        if unlabelled:
            speakers = ", ".join(sorted({clip.speaker for clip in unlabelled})[:20])
            log.warning(
                "%d clips have no label '%s' and are left out (%ss %s).",
                len(unlabelled), self.task["label"], self.unit, speakers,
            )  # fmt: skip

    def evaluation_dataset(self, members: np.ndarray) -> ClipDataset:
        """A dataset of some clips as in evaluation, each clip at its own place.

        Args:
            members: (N,) positions in `clips`, such as `split.test`.
        """
        shares = (
            np.array([zlib.crc32(self.clips[index].path.encode(errors="surrogateescape")) for index in members]) / 2**32
        )
        return self._dataset(members, lambda: shares)

    def _evaluation_loader(self, members: np.ndarray) -> DataLoader[Batch]:
        dataset = self.evaluation_dataset(members)
        # each process gets a share, and no clip comes twice, so that metrics equal those of one process
        return self._loader(dataset, range(self._rank, len(dataset), self._processes))

    def _dataset(self, members: np.ndarray, places: Callable[[], np.ndarray]) -> ClipDataset:
        labels = self.division.kind.values([self.clips[index] for index in members], self.classes)
        length = round(self.settings.seconds * self.settings.sample_rate)
        return ClipDataset(self.cache, np.asarray(members, np.int64), labels, length, places, self.confound)

    def _epoch_places(self) -> np.ndarray:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return np.random.default_rng((self.seed, epoch)).random(len(self.split.train))

    def _loader(self, dataset: ClipDataset, sampler: Any) -> DataLoader[Batch]:
        return loader(dataset, self.batch_size // self._processes, sampler)
