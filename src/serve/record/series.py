"""Several words in one recording, said with pauses between them."""

import numpy as np

from auscult.datamodules.audio.filters import highpass
from auscult.datamodules.recording import FRAME_SECONDS, HOP_SECONDS, ClipSettings
from auscult.serve.record.take import Take, check_rate, take
from auscult.serve.upload import BadUpload

PAUSE_SECONDS = 0.25  # between words; shorter ones are within a word, such as before the t of eight
SHORTEST_SECONDS = 0.1  # of a word; shorter sounds are clicks
AROUND_SECONDS = 0.3  # shown on either side of a word, if its neighbours are not closer


def pieces(samples: np.ndarray, rate: int) -> list[Take]:
    """Cuts a recording at its pauses, and each piece as `take` does.

    Args:
        samples: (frames, channels), float32 in [-1, 1].
        rate: sample rate in hertz.

    Raises:
        BadUpload: there are no words in it.
    """
    check_rate(rate)
    spans = words(samples.mean(axis=1, dtype=np.float64), rate)
    if not spans:
        raise BadUpload("No words were found; say them again, louder or closer, with pauses between them.")
    stops, starts = [0] + [stop for _, stop in spans], [start for start, _ in spans] + [len(samples)]
    middles = [(stop + start) // 2 for stop, start in zip(stops, starts, strict=True)]
    middles[0], middles[-1] = 0, len(samples)
    around = round(AROUND_SECONDS * rate)
    return [
        take(samples[max(before, start - around) : min(after, stop + around)], rate)
        for (start, stop), before, after in zip(spans, middles, middles[1:], strict=False)
    ]


def words(mono: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """First and last (exclusive) sample of each stretch of loud frames in a recording, (L,) float64."""
    settings = ClipSettings(sample_rate=rate)  # what is loud here is loud in training
    assert settings.trim_db is not None
    frame, hop = round(FRAME_SECONDS * rate), round(HOP_SECONDS * rate)
    if len(mono) < frame or not np.isfinite(mono).all():
        return []
    before = np.concatenate(([0.0], np.cumsum(highpass(mono - mono.mean(), rate, settings.highpass_hz) ** 2)))
    starts = np.arange(0, len(mono) - frame + 1, hop)
    energy = before[starts + frame] - before[starts]
    loud = starts[energy > energy.max() * 10 ** (-settings.trim_db / 10)]
    if not len(loud):
        return []
    ends = np.flatnonzero(np.diff(loud) - frame >= PAUSE_SECONDS * rate)  # the last frame before each pause
    first, last = loud[[0, *(ends + 1)]], loud[[*ends, -1]] + frame
    shortest = SHORTEST_SECONDS * rate
    return [(int(start), int(stop)) for start, stop in zip(first, last, strict=True) if stop - start >= shortest]
