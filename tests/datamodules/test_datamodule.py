import logging
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake
from auscult.program.conf import CONF

RATE = 8000
# nothing but the mean is removed, so that the cached samples are known
AS_RECORDED = ClipSettings(sample_rate=RATE, seconds=1.0, highpass_hz=None, trim_db=None, min_seconds=0.05)
TASK = {"name": "pitch", "label": "pitch", "classes": None, "folds": 4, "balance": False, "fold_seed": 0}


class Tones(Corpus):
    """Tones of 0.2 to 0.6 s, three of each pitch by each of eight speakers."""

    root = Path()

    def __init__(self, pitches: str = "cab", unlabelled: int = 0, takes: int = 3) -> None:
        self.pitches, self.unlabelled, self.takes = pitches, unlabelled, takes

    def clips(self) -> list[Clip]:
        labelled = [
            Clip(f"{speaker}/{pitch}{take}.wav", f"s{speaker}", {"pitch": pitch})
            for speaker in range(8)
            for pitch in self.pitches
            for take in range(self.takes)
        ]
        return labelled + [Clip(f"noise/{number}.wav", "nobody", {}) for number in range(self.unlabelled)]

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        random = np.random.default_rng(zlib.crc32(clip.path.encode()))
        samples = random.uniform(-0.8, 0.8, 2 * random.integers(800, 2400)).astype(np.float32)
        return samples[:, None], RATE

    def stamp(self, clip: Clip) -> str:
        return "tone"


@pytest.fixture
def opened(cache_dir):
    def make(corpus: Corpus | None = None, fold: int = 0, batch_size: int = 5, seed: int = 0, **task: Any):
        module = AudioDataModule(
            corpus or Tones(), TASK | task, fold, AS_RECORDED, cache_dir / "tones", batch_size, seed
        )
        module.setup()
        return module

    return make


def loaders(module: AudioDataModule) -> dict[str, list[dict[str, torch.Tensor]]]:
    return {
        "train": list(module.train_dataloader()),
        "validation": list(module.val_dataloader()),
        "test": list(module.test_dataloader()),
    }


def by_clip(module: AudioDataModule, batches: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Path -> waveform (T,)."""
    return {
        module.clips[int(clip)].path: waveform[0]
        for batch in batches
        for clip, waveform in zip(batch["clip"], batch["waveform"], strict=True)
    }


def in_epoch(module: AudioDataModule, epoch: int, rank: int = 0, processes: int = 1) -> AudioDataModule:
    module.trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank, world_size=processes)
    return module


def test_batches_are_what_the_contract_says(opened):
    module = opened()
    for batches in loaders(module).values():
        for batch in batches:
            size = len(batch["clip"])
            assert batch.keys() == {"waveform", "label", "clip"} and 1 <= size <= 5
            assert batch["waveform"].shape == (size, 1, RATE) and batch["waveform"].dtype == torch.float32
            assert batch["label"].shape == (size,) and batch["label"].dtype == batch["clip"].dtype == torch.int64
            assert 0.5 < batch["waveform"].abs().max() <= 1


def test_classes_are_sorted_and_labels_match_their_clips(opened):
    module = opened()
    assert module.classes == ["a", "b", "c"]
    assert opened(classes=["c", "b", "a"]).classes == ["c", "b", "a"]
    for batches in loaders(module).values():
        for batch in batches:
            for clip, label in zip(batch["clip"], batch["label"], strict=True):
                assert module.clips[int(clip)].labels["pitch"] == module.classes[int(label)]


def test_a_clip_that_is_placed_once_lies_there_in_every_epoch(opened):
    module = opened()
    moved = [by_clip(module, list(in_epoch(module, epoch).train_dataloader())) for epoch in (0, 1)]
    assert not any(torch.equal(moved[0][path], moved[1][path]) for path in moved[0])
    module.is_fixed = True
    fixed = [by_clip(module, list(in_epoch(module, epoch).train_dataloader())) for epoch in (0, 1)]
    assert fixed[0].keys() == moved[0].keys()
    assert all(torch.equal(fixed[0][path], fixed[1][path]) for path in fixed[0])
    starts = [int(waveform.nonzero()[0]) / (RATE - len(waveform.nonzero())) for waveform in fixed[0].values()]
    assert np.ptp(starts) > 0.5  # each clip has a place of its own


def test_every_clip_of_a_split_comes_exactly_once(opened):
    module = opened()
    for name, batches in loaders(module).items():
        seen = torch.cat([batch["clip"] for batch in batches]).tolist()
        assert sorted(seen) == getattr(module.split, name).tolist()
    assert sum(module.counts()[f"clips/{name}"] for name in ("train", "validation", "test")) == len(Tones().clips())


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_processes_share_the_clips(opened, processes):
    module = opened(Tones(takes=1), batch_size=12)  # 6 test clips: four processes cannot share them evenly
    shares = [loaders(in_epoch(module, 3, rank, processes)) for rank in range(processes)]
    for name in ("validation", "test"):
        seen = [int(clip) for share in shares for batch in share[name] for clip in batch["clip"]]
        assert sorted(seen) == getattr(module.split, name).tolist()
    # the first batches together are the first batch of one process, with the same offsets
    together = by_clip(module, [share["train"][0] for share in shares])
    alone = by_clip(module, loaders(in_epoch(module, 3))["train"][:1])
    assert len(alone) == 12 and together.keys() == alone.keys()
    assert all(torch.equal(together[path], alone[path]) for path in alone)


def test_clips_are_embedded_in_silence_unchanged(opened):
    module = opened()
    for batches in loaders(module).values():
        for path, waveform in by_clip(module, batches).items():
            recorded = Tones().read(Clip(path, ""))[0][:, 0]
            samples = 32768 * (recorded - recorded.mean(dtype=np.float64))
            sounding = waveform.nonzero()[:, 0]
            start = next(
                begin
                for begin in range(int(sounding[-1]) - len(samples) + 1, int(sounding[0]) + 1)
                if np.abs(waveform[begin : begin + len(samples)].numpy() * 32768 - samples).max() <= 1
            )
            by_hand = torch.zeros(RATE)
            by_hand[start : start + len(samples)] = waveform[start : start + len(samples)]
            assert torch.equal(waveform, by_hand)


def test_evaluation_offsets_depend_on_the_clip_alone(opened):
    reference = opened()
    tested = by_clip(reference, loaders(reference)["test"])
    assert len({int(waveform.nonzero()[0, 0]) for waveform in tested.values()}) > 5
    others = [
        in_epoch(opened(batch_size=2, seed=7), 4),  # another batch size, seed and epoch
        opened(Tones("cabx")),  # other clips beside them
        opened(Tones(unlabelled=3), fold=1),  # where they validate
    ]
    for other in others:
        batches = loaders(other)
        elsewhere = by_clip(other, batches["test"]) | by_clip(other, batches["validation"])
        shared = tested.keys() & elsewhere.keys()
        assert len(shared) >= 9  # of a speaker at least
        assert all(torch.equal(tested[path], elsewhere[path]) for path in shared)


def test_training_order_and_offsets_depend_on_seed_and_epoch(opened):
    def epoch(number: int, seed: int = 0) -> tuple[list[int], dict[str, torch.Tensor]]:
        module = in_epoch(opened(seed=seed), number)
        loader = module.train_dataloader()
        loader.sampler.set_epoch(number)  # as Lightning does
        batches = list(loader)
        return torch.cat([batch["clip"] for batch in batches]).tolist(), by_clip(module, batches)

    order, waveforms = epoch(1)
    again, same = epoch(1)
    assert order == again and all(torch.equal(waveforms[path], same[path]) for path in waveforms)
    for number, seed in ((2, 0), (1, 1)):
        other, changed = epoch(number, seed)
        assert sorted(other) == sorted(order) and other != order
        moved = sum(not torch.equal(waveforms[path], changed[path]) for path in waveforms)
        assert moved > 0.9 * len(waveforms)


def test_clips_without_the_label_are_left_out_with_a_warning(opened, caplog):
    with caplog.at_level(logging.WARNING):
        module = opened(Tones(unlabelled=4))
    assert "4 clips have no label 'pitch' and are left out (speakers nobody)." in caplog.messages
    used = {module.clips[int(clip)].path for batches in loaders(module).values() for b in batches for clip in b["clip"]}
    assert used == {clip.path for clip in Tones().clips()}


def test_mistakes(opened):
    with pytest.raises(Mistake, match=r"has the classes a, b, but ./c.\.wav is labelled 'c'.*task\.classes"):
        opened(classes=["a", "b"])
    with pytest.raises(Mistake, match=r"task\.label=mood needs clips labelled 'mood', and this corpus has only pitch"):
        opened(name="mood", label="mood")
    with pytest.raises(Mistake, match=r"this corpus has only pitch; choose task\.label=pitch,"):
        opened(name="number", label="mood", kind="number")


def test_the_sound_task_serves_any_corpus_with_a_class(cache_dir, spoken_folder):
    from tests.program.test_config import composed

    pattern = r'data.pattern="say-(?P<class>\d)-by-(?P<speaker>[^-]+)"'
    config: Any = OmegaConf.to_container(
        composed("data=folder", f"data.root={spoken_folder}", pattern, "task=sound", "fold=4"), resolve=True
    )
    module = AudioDataModule.from_config(config)
    module.setup()
    assert module.classes == ["0", "1", "2"]
    assert {name: len(speakers) for name, speakers in module.speakers().items()} == {
        "train": 3, "validation": 1, "test": 1,
    }  # fmt: skip


def test_built_from_the_configuration(cache_dir):
    from tests.program.test_config import composed

    config: Any = OmegaConf.to_container(composed("task=sex", "data.repetitions=2", "fold=3"), resolve=True)
    module = AudioDataModule.from_config(config)
    assert module.corpus.repetitions == 2 and module.fold == 3
    assert module.settings == ClipSettings(**OmegaConf.load(CONF / "train.yaml").data.clip)


def test_shuffled_labels_are_the_same_labels_of_other_training_clips(opened):
    def labels(shuffle: bool, seed: int = 0) -> dict[str, dict[str, int]]:
        module = opened(seed=seed)
        module.shuffle_labels = shuffle
        return {
            name: {
                module.clips[int(clip)].path: int(label)
                for batch in batches
                for clip, label in zip(batch["clip"], batch["label"], strict=True)
            }
            for name, batches in loaders(module).items()
        }

    known, shuffled = labels(False), labels(True)
    assert {name: shuffled[name] for name in ("validation", "test")} == {
        name: known[name] for name in ("validation", "test")
    }
    assert shuffled["train"].keys() == known["train"].keys()
    assert sorted(shuffled["train"].values()) == sorted(known["train"].values())
    same = np.mean([shuffled["train"][path] == label for path, label in known["train"].items()])
    assert same < 0.6  # of three classes, a third would be by chance
    assert labels(True)["train"] == shuffled["train"] != labels(True, seed=1)["train"]
