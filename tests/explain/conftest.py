from typing import Any

import numpy as np
import pytest

from auscult.datamodules.cache import open_cache
from auscult.datamodules.confound import Confound
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.recording import ClipSettings
from auscult.datamodules.source import Source
from auscult.datamodules.synthetic import Synthetic

RATE = 8000


@pytest.fixture
def source_of(cache_dir):
    """Three synthetic clips, the first of which carries a confound if one is asked for."""

    def make(**confound: Any) -> Source:
        corpus = Synthetic(1, 0, "pitch")
        clips = [corpus.clips()[number] for number in (0, 137, 303)]
        settings = ClipSettings(sample_rate=RATE, seconds=1.0, highpass_hz=60, trim_db=25, min_seconds=0.05)
        cache = open_cache(corpus, clips, settings, cache_dir)
        planted = None
        if confound:
            tied = {"column": "digit", "label": "0", "probability": 1.0}  # the first of the three clips carries it
            options = {"level_db": -10.0, "seconds": 0.3, "seed": 0, "sample_rate": RATE}
            planted = Confound(**tied, **options, **confound)
        dataset = ClipDataset(cache, np.arange(3), np.zeros(3, np.int64), RATE, lambda: np.full(3, 0.5), planted)
        return Source(dataset, clips, [], "speaker", corpus.cues, corpus.segments)

    return make
