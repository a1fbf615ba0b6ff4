import json
import re
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal, stats

from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.datamodules import source
from auscult.datamodules.clips import Clip
from auscult.datamodules.confound import Confound
from auscult.datamodules.datamodule import AudioDataModule
from auscult.explain.domain.domains import TimeFrequency
from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.modules.feature_extractors import KaldiMel
from auscult.modules.mel import LogMel
from auscult.modules.model import Model
from auscult.program.config import check
from tests.conftest import TINY
from tests.datamodules.test_datamodule import AS_RECORDED, RATE, TASK, Tones, by_clip, in_epoch, loaders
from tests.program.test_config import composed

HARMONICS = [50, 100, 150, 200, 250]


def confound(kind: str, **changed: Any) -> Confound:
    options = {"probability": 0.9, "level_db": -20.0, "seconds": 0.3, "seed": 0, "sample_rate": RATE} | changed
    return Confound(kind=kind, column="pitch", label="a", **options)


def configured(*overrides: str) -> dict[str, Any]:
    return check(composed("task=sex", "data.repetitions=1", *overrides))


@pytest.fixture
def opened(cache_dir):
    def make(planted: Confound | None = None, seed: int = 0, batch_size: int = 5) -> AudioDataModule:
        module = AudioDataModule(
            Tones(), TASK, 0, AS_RECORDED, cache_dir / "tones", batch_size, seed, confound=planted
        )  # fmt: skip
        module.setup()
        return module

    return make


@pytest.fixture
def difference(opened):
    """The test clips that carry a confound, each (T,) without it and with it."""

    def of(planted: Confound) -> list[tuple[np.ndarray, np.ndarray]]:
        reference, module = opened(), opened(planted)
        plain, changed = (by_clip(each, loaders(each)["test"]) for each in (reference, module))
        assert len(plain) == 18
        carried = {path for path in plain if planted.carried_by(Clip(path, "", {"pitch": path[2]}))}
        assert len(carried) > 3
        return [(plain[path].numpy().astype(float), changed[path].numpy().astype(float)) for path in sorted(carried)]

    return of


def level_of(waveform: np.ndarray) -> float:
    """Root mean square from the first sample that sounds to the last, in decibels."""
    sounding = np.flatnonzero(waveform)
    return 10 * np.log10(np.mean(waveform[sounding[0] : sounding[-1] + 1] ** 2))


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 1.0])
def test_each_class_carries_it_as_often_as_said(probability):
    planted = confound("hum", probability=probability)
    for pitch, expected in (("a", probability), ("b", 1 - probability), ("c", 1 - probability)):
        carried = sum(planted.carried_by(Clip(f"{i}/{pitch}.wav", "", {"pitch": pitch})) for i in range(1000))
        low, high = stats.binom.interval(1 - 1e-6, 1000, expected) if 0 < expected < 1 else (1000 * expected,) * 2
        assert low <= carried <= high


def test_which_clips_carry_it_depends_on_its_seed_and_the_clip_alone(opened):
    planted = confound("hum", probability=0.5)
    reference = opened(planted)
    tested = by_clip(reference, loaders(reference)["test"])
    parts = [in_epoch(opened(planted, seed=7, batch_size=4), 3, rank, 2) for rank in (0, 1)]
    shared = {path: waveform for part in parts for path, waveform in by_clip(part, loaders(part)["test"]).items()}
    assert tested.keys() == shared.keys() and all(torch.equal(tested[path], shared[path]) for path in tested)

    every = np.arange(len(reference.clips))
    carried = reference.evaluation_dataset(every).planted
    assert carried.dtype == bool and 20 < carried.sum() < 52  # of 72
    assert np.array_equal(carried[reference.split.train], reference.train_dataloader().dataset.planted)
    other = opened(confound("hum", probability=0.5, seed=1)).evaluation_dataset(every).planted
    assert 15 < (carried != other).sum() < 57


def test_without_it_no_bit_changes(opened):
    assert configured()["data"]["confound"]["kind"] is None
    for overrides in ([], ["data.confound=null"], ["data.confound.kind=null"]):
        assert AudioDataModule.from_config(configured(*overrides)).confound is None
    before = configured()
    del before["data"]["confound"]  # a checkpoint from before there were confounds
    assert AudioDataModule.from_config(before).confound is None

    plain, module = opened(), opened(confound("click"))
    assert plain.cache.folder == module.cache.folder
    assert not plain.evaluation_dataset(plain.split.test).planted.any()
    for name in ("train", "validation", "test"):
        unchanged, changed = by_clip(plain, loaders(plain)[name]), by_clip(module, loaders(module)[name])
        dataset = module.evaluation_dataset(getattr(module.split, name))
        carried = {module.clips[clip].path for clip in dataset.clips[dataset.planted]}
        for path, waveform in unchanged.items():
            samples = plain.cache.samples(plain.cache.paths.index(path))[0]
            start = int(waveform.nonzero()[0, 0]) - int(np.flatnonzero(samples)[0])
            by_hand = torch.zeros(RATE)
            by_hand[start : start + len(samples)] = torch.from_numpy(samples / np.float32(32768))
            assert torch.equal(waveform, by_hand)
            assert torch.equal(waveform, changed[path]) == (path not in carried)


@pytest.mark.parametrize("level", [-40.0, -20.0])
def test_hum_is_at_the_harmonics_of_50_hz(difference, level):
    planted = confound("hum", level_db=level)
    phases = []
    for plain, changed in difference(planted):
        hum = changed - plain
        assert 10 * np.log10(np.mean(hum**2)) - level_of(plain) == pytest.approx(level, abs=0.01)
        frequencies, power = signal.periodogram(hum, RATE)  # bins of 1 Hz
        inside = planted.region(RATE).mask(frequencies)
        assert power[inside].sum() > 0.9999 * power.sum()
        assert power[HARMONICS] / power[50] == pytest.approx([1, 1 / 4, 1 / 9, 1 / 16, 1 / 25], rel=1e-3)
        phases.append(np.angle(np.fft.rfft(hum)[50]))
    assert len(phases) > 3 and len(set(np.round(phases, 2))) == len(phases)


def test_a_click_is_in_the_first_5_ms(difference):
    for plain, changed in difference(confound("click", level_db=-20.0)):
        click = changed - plain
        assert np.flatnonzero(click).tolist() == list(range(40))
        assert 10 * np.log10(np.mean(click[:40] ** 2)) - level_of(plain) == pytest.approx(-20, abs=0.01)
        assert np.sum(click[:20] ** 2) > 0.9 * np.sum(click**2)


@pytest.mark.parametrize("seconds", [0.3, 0.7])
def test_behind_a_lead_in_lies_the_same_clip(difference, seconds):
    cut = set()
    for plain, changed in difference(confound("lead_in", seconds=seconds)):
        start, stop = np.flatnonzero(plain)[[0, -1]] + [0, 1]
        first = np.flatnonzero(changed)[0]
        least, room = round(seconds * RATE), RATE - (stop - start)
        # a clip's own first or last sample may be a zero
        assert first == pytest.approx(least + max(0, room - least) * start / room, abs=2)
        kept = min(stop - start, RATE - first)
        assert np.array_equal(changed[first : first + kept], plain[start : start + kept])
        assert not changed[first + kept :].any()
        cut.add(kept < stop - start)
    assert cut == ({False, True} if seconds == 0.7 else cut)


@pytest.mark.parametrize("kind", ["hum", "click"])
def test_what_would_clip_is_made_softer_as_a_whole(kind):
    planted, clip = confound(kind, level_db=0.0), Clip("x.wav", "")
    quiet = np.zeros(RATE, np.float32)
    quiet[30:4000] = np.random.default_rng(0).uniform(-0.1, 0.1, 3970)
    loud = 10 * quiet
    planted.plant(quiet[None], 30, 4000, clip)
    planted.plant(loud[None], 30, 4000, clip)
    assert 0.1 < np.abs(quiet).max() < 1 and np.abs(loud).max() == 1
    assert loud == pytest.approx(quiet / np.abs(quiet).max(), abs=1e-6)


def test_the_region_in_every_domain():
    click, hum, lead_in = (confound(kind).region(RATE) for kind in ("click", "hum", "lead_in"))
    for region, stop in ((click, 40), (hum, RATE), (lead_in, 2400)):
        assert region.mask().tolist() == region.samples.tolist() == [True] * stop + [False] * (RATE - stop)
    hertz = np.arange(RATE // 2 + 1)
    assert np.flatnonzero(hum.mask(hertz)).tolist() == [f for h in HARMONICS for f in range(h - 3, h + 4)]
    assert click.mask(hertz).all() and lead_in.mask(hertz).all()

    # bins 12.5 Hz apart are of windows of 80 ms: they reach 12.5 Hz and 20 ms to either side
    bins, frames = np.arange(5) * 12.5, np.array([0.0, 0.024, 0.026, 0.31, 0.33])
    assert hum.mask(bins, frames).tolist() == [[False] * 5] * 3 + [[True] * 5] * 2
    assert click.mask(bins, frames).tolist() == [[True, True, False, False, False]] * 5
    assert lead_in.mask(bins, frames).tolist() == [[True, True, True, True, False]] * 5

    classifier = Classifier.from_config(configured(), ["male", "female"])
    domain = TimeFrequency(Model.of(classifier, RATE).eval(), RATE, window_seconds=0.057, hop_seconds=0.02)
    front_end = domain.model.front_end
    mask = hum.mask(front_end.frequencies, front_end.times)
    assert mask.shape == front_end(torch.zeros(1, 1, RATE)).shape[2:] and mask.any() and not mask.all()


def test_the_region_of_a_domain_holds_what_is_planted():
    for kind in ("hum", "click"):
        planted, silence = confound(kind, level_db=0.0), np.zeros(RATE, np.float32)
        one = silence.copy()
        one[4000] = 0.1  # a clip of one sample
        planted.plant(one[None], 4000, 4001, Clip("x.wav", ""))
        one[4000] = 0 if kind == "click" else one[3999]
        frequencies, times, transform = signal.stft(one, RATE, "hann", 456, 456 - 112)
        power = np.abs(transform) ** 2
        assert power[planted.region(RATE).mask(frequencies, times)].sum() > 0.9 * power.sum()


@pytest.mark.parametrize("front_end", [LogMel(RATE, 1.0), LogMel(RATE, 1.0, 20), KaldiMel(RATE, 40, 150, None)])
@pytest.mark.parametrize("kind", ["hum", "click"])
def test_the_region_of_mel_bands_holds_what_is_planted(kind, front_end):
    planted, one = confound(kind, level_db=0.0), np.zeros(RATE, np.float32)
    one[4000] = 0.1  # a clip of one sample
    planted.plant(one[None], 4000, 4001, Clip("x.wav", ""))
    one[4000] = 0 if kind == "click" else one[3999]
    bands = front_end(torch.from_numpy(one)[None, None])[0, 0].double()
    power = (10 ** (8 * (bands - 1)) if isinstance(front_end, LogMel) else bands.exp()).numpy()
    inside = planted.region(RATE).mask(front_end.frequencies, front_end.times, resolution=RATE / front_end.window)
    within = front_end.times < 0.98
    assert power[inside].sum() > 0.9 * power[:, within].sum() and inside[:, within].mean() < 0.4
    assert not inside[:, front_end.times > 1.02].any()  # behind the clip


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["kind=buzz"], "data.confound.kind=buzz is unknown; choose null or one of hum, click, lead_in."),
        (["kind=null"], "data.confound.class=female needs a data.confound.kind; choose hum, click, lead_in."),
        (["probability=1.1"], "data.confound.probability=1.1 is not a number from 0 to 1."),
        (["probability=often"], "data.confound.probability=often is not a number from 0 to 1."),
        (["level_db=6"], "data.confound.level_db=6 is not a number from -100 to 0."),
        (["seed=-1"], "data.confound.seed=-1 is not a whole number of 0 or more."),
        (
            ["kind=lead_in", "seconds=1"],
            "data.confound.seconds=1 is not between a sample and the 1 seconds of data.clip",
        ),
        (["kind=lead_in", "seconds=0"], "data.confound.seconds=0 is not between"),
    ],
)
def test_mistakes(overrides, says):
    options = ["data.confound.class=female", "data.confound.kind=hum"]
    with pytest.raises(Mistake) as mistake:
        AudioDataModule.from_config(configured(*options, *(f"data.confound.{override}" for override in overrides)))
    assert str(mistake.value).startswith(says)


def test_no_hum_fits_into_a_narrow_band():
    with pytest.raises(Mistake, match=r"needs data\.clip\.sample_rate above 100 Hz, not 100"):
        AudioDataModule.from_config(
            configured("data.confound.kind=hum", "data.clip.sample_rate=100", "data.clip.highpass_hz=null")
        )


def test_a_class_that_the_task_lacks(train_here):
    for given, called in ((["data.confound.class=woman"], "woman"), ([], "None")):
        said = train_here("task=sex", "data.confound.kind=hum", *given, *TINY)
        assert said == f"data.confound.class={called} is no class of this task; choose male, female."


@pytest.mark.slow
def test_a_run_and_its_explanation_plant_the_same(train_here, explain_here, tmp_path):
    options = ["kind=click", "class=female", "probability=0.9", "level_db=-10"]
    assert train_here("task=sex", *(f"data.confound.{option}" for option in options), *TINY) == ""
    (best,) = tmp_path.glob("outputs/*/*/checkpoints/best.ckpt")
    card = open_checkpoint(best)[KEY]
    module = AudioDataModule.from_config(card["config"])
    module.setup()
    explained = source.test_clips(card["config"], card["speakers"], limit=None, seed=5)
    batch = explained.dataset.__getitems__(list(range(5)))
    assert torch.equal(batch["waveform"], next(iter(module.test_dataloader()))["waveform"][:5])

    female = np.array([clip.labels["sex"] == "female" for clip in explained.clips])
    assert explained.dataset.planted[female].mean() > 0.7 > 0.3 > explained.dataset.planted[~female].mean()
    clicks = batch["waveform"][:, 0, :3].abs().amax(-1) > 0  # no clip begins so early
    assert clicks.tolist() == explained.dataset.planted[:5].tolist()

    quick = ["limit=12", "clips=0", "perturbation.fractions=[0,0.1]", "hydra.run.dir=explanation"]
    assert explain_here(f"checkpoint={best}", "attribution=amplitude", *quick) == ""
    assert re.search(r"click in \d+ clips; it goes with female", (tmp_path / "explanation/report.html").read_text())
    metrics = json.loads((tmp_path / "explanation/metrics.json").read_text())
    assert metrics["localisation/chance/confound"] == pytest.approx(40 / 8000)  # 5 ms
    assert metrics["localisation/mass/confound"] > 0


def test_nothing_is_planted_into_ones_own_recordings(tmp_path, cache_dir):
    soundfile.write(tmp_path / "own.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 4000), RATE)
    config = configured("data.confound.kind=hum", "data.confound.class=female", "data.confound.probability=1")
    for probability in (0, 1):
        config["data"]["confound"]["probability"] = probability
        data = {"csv": None, "pattern": None, "speakers": None, "cache_dir": str(cache_dir)}
        own = source.recordings(str(tmp_path / "own.wav"), config, ["a"], data, None, 0)
        assert own.dataset.planted.tolist() == [False]
        waveform = own.dataset.__getitems__([0])["waveform"][0, 0]
        assert not waveform[:1900].any() and not waveform[-1900:].any()
