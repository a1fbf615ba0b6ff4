"""Masks of cues against where the energy of made clips is."""

import numpy as np
import pytest
import torch

from auscult.datamodules.cache import open_cache
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.recording import ClipSettings
from auscult.datamodules.synthetic import Cue, Synthetic
from auscult.explain.domain.fourier import ShortTimeFourier
from auscult.explain.measures.localisation import beginning, cue_mask

RATE, SIZE, HOP = 8000, 456, 112
FREQUENCIES = np.arange(SIZE // 2 + 1) * RATE / SIZE


def test_a_mask_follows_its_cue_in_time_and_frequency():
    seconds = np.arange(5) * 0.1
    cue = Cue("harmonic 1", seconds, np.array([100, 100, np.nan, 300, 300.0]), np.array([200, 200, np.nan, 400, 400.0]))
    times = np.array([-0.3, -0.1, 0.04, 0.1, 0.3, 0.5])  # of a frame that begins 0.1 s into the recording
    mask = cue_mask([cue], 0.1, np.array([50.0, 100, 150, 200, 350]), times)
    assert mask[:, 0].sum() == 0  # before the recording
    assert mask[:, 1].tolist() == [False, True, True, True, False]  # at its 0.0 s
    assert mask[:, 2].tolist() == mask[:, 1].tolist()  # 0.14 s is nearest to 0.1 s
    assert mask[:, 3].sum() == 0  # absent
    assert mask[:, 4].tolist() == [False, False, False, False, True]
    assert mask[:, 5].sum() == 0  # after it


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_harmonics_of_made_clips_hold_their_energy(cache_dir, place):
    """Wherever a clip lies in its frame; a mask that is 0.1 s off holds less."""
    corpus = Synthetic(1, 0, "pitch")
    clips = [corpus.clips()[number] for number in (0, 137, 303)]
    settings = ClipSettings(sample_rate=RATE, seconds=1.0, highpass_hz=60, trim_db=25, min_seconds=0.05)
    cache = open_cache(corpus, clips, settings, cache_dir)
    dataset = ClipDataset(cache, np.arange(3), np.zeros(3, np.int64), RATE, lambda: np.full(3, place))
    view = ShortTimeFourier(RATE, torch.hann_window(SIZE), HOP)
    power = view.transform(dataset.__getitems__([0, 1, 2])["waveform"][:, 0]).abs().square().numpy()  # (3, F, N)
    times = np.arange(view.frames) * HOP / RATE
    for row, clip in enumerate(clips):
        harmonics = [cue for cue in corpus.cues(clip) if cue.name.startswith("harmonic")]
        begins = beginning(dataset, row, RATE)
        low = FREQUENCIES < 1500  # where harmonics stand apart

        def share(shift: float, kept=low, found=power[row], cues=harmonics, start=begins) -> float:
            mask = cue_mask(cues, start + shift, FREQUENCIES, times) & kept[:, None]
            voiced = mask.any(0)
            return float(found[:, voiced][mask[:, voiced]].sum() / found[kept].sum())

        assert share(0.0) > 0.8
        assert share(0.0) > share(0.1) + 0.1 and share(0.0) > share(-0.1) + 0.1
