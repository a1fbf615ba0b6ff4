"""Plants a flaw into clips that gives a class away, to test whether relevance finds it.

    hum        mains hum all through the frame: 50 Hz and its harmonics
    click      a short burst of noise at the start of the frame
    lead_in    silence before the clip, which lies later in its frame

A clip of the class carries the confound with a probability p, a clip of any other class with 1 - p. So p = 0.5 gives
nothing away. What is planted depends only on seed and clip: it is the same in training, evaluation and explanation, in
any number of processes. It is planted when clips are read from the cache: high-pass filters and trimming do not change
it. Augmentation does: `augmentation.speed` moves a hum, and takes a click out of the frame if it plays slower.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from auscult.datamodules.clips import Clip
from auscult.mistake import Mistake
from auscult.program.numbers import check_number

KINDS = ("hum", "click", "lead_in")
MAINS_HZ, HARMONICS = 50.0, 5  # the k-th harmonic has an amplitude of 1 / k
HALF_WIDTH_HZ = 3.0  # so far to either side of a harmonic, frequencies count as planted
CLICK_SECONDS, DECAY_SECONDS = 0.005, 0.001


@dataclass(frozen=True)
class Region:
    """Where a confound lies in each clip that carries it.

    Args:
        length: samples of the frame, T.
        sample_rate: in hertz.
        stop: the samples before this one are planted.
        bands: lowest and highest frequency of each band that is planted, in hertz.
    """

    length: int
    sample_rate: int
    stop: int
    bands: tuple[tuple[float, float], ...]

    @property
    def samples(self) -> np.ndarray:
        """(T,) bool."""
        return np.arange(self.length) < self.stop

    def mask(self, frequencies: Any = None, times: Any = None, *, resolution: float = 0.0) -> np.ndarray:
        """Which features of a domain of `auscult.explain.domain.domains` are planted, by the axes of that domain.

        A bin extends over the times and frequencies where its Hann window and the transform of this window exceed half
        their height. With d the distance of bins, that is 0.25 / d seconds and d hertz to either side. Unevenly spaced
        rows, as of mel, are bands of bins, and their columns may be means of frames. A band extends to the centres of
        its neighbours, and at least as far as a bin; a column half the way to its neighbours, beyond its window.

        Args:
            frequencies: (F,) hertz, two or more; None: the features are samples.
            times: (N,) seconds, the middles of frames; None: the features are frequencies of the whole clip.
            resolution: distance of the transform's bins in hertz; 0: that of the rows.

        Returns:
            (T,), (F,) or (F, N) bool.
        """
        if frequencies is None:
            return self.samples
        hertz = np.asarray(frequencies, float)  # (F,)
        gaps = np.diff(hertz)
        is_banded = not np.allclose(gaps, gaps[0], rtol=1e-3)
        gaps = np.maximum(gaps, resolution)
        below, above = np.append(gaps[0], gaps), np.append(gaps, gaps[-1])  # (F,), how far each extends
        rows = np.zeros(len(hertz), bool)
        for low, high in self.bands:
            rows |= (hertz + above > low) & (hertz - below < high)
        if times is None:
            return rows
        middles = np.asarray(times, float)  # (N,)
        reach = 0.25 / (resolution or gaps.min()) + (np.diff(middles).max(initial=0) / 2 if is_banded else 0.0)
        return rows[:, None] & (middles - reach < self.stop / self.sample_rate)


@dataclass(frozen=True)
class Confound:
    """What is planted, and into which clips (`data.confound` in the configuration)."""

    kind: str
    column: str  # of the labels
    label: str  # the class that it gives away
    probability: float  # that a clip of the class carries it; 1 - probability for any other
    level_db: float  # hum, click: root mean square over its own stretch, relative to the clip's
    seconds: float  # lead_in: the least silence
    seed: int
    sample_rate: int  # hertz

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Confound | None":
        """The confound of a resolved configuration; None if it has none.

        Raises:
            Mistake: an option has a wrong type, is out of range, or does not suit the clips.
        """
        options, clip = config["data"].get("confound"), config["data"]["clip"]
        if options is None:
            return None
        check_number(config, "data.confound.probability", float, 0, 1, False)
        check_number(config, "data.confound.level_db", float, -100, 0, False)
        check_number(config, "data.confound.seconds", float, 0, 3600, False)
        check_number(config, "data.confound.seed", int, 0, 2**32 - 1, False)
        options = dict(options)
        kind, label = options.pop("kind"), options.pop("class")
        if kind is None:
            if label is not None:
                raise Mistake(f"data.confound.class={label} needs a data.confound.kind; choose {', '.join(KINDS)}.")
            return None
        if kind not in KINDS:
            raise Mistake(f"data.confound.kind={kind} is unknown; choose null or one of {', '.join(KINDS)}.")
        rate = clip["sample_rate"]
        if kind == "hum" and rate <= 2 * MAINS_HZ:
            raise Mistake(f"data.confound.kind=hum needs data.clip.sample_rate above {2 * MAINS_HZ:g} Hz, not {rate}.")
        if kind == "lead_in" and not 1 <= round(options["seconds"] * rate) < round(clip["seconds"] * rate):
            raise Mistake(
                f"data.confound.seconds={options['seconds']} is not between a sample and the"
                f" {clip['seconds']:g} seconds of data.clip.seconds."
            )
        return cls(kind=kind, column=config["task"]["label"], label=str(label), sample_rate=rate, **options)

    def check(self, classes: list[str]) -> None:
        """Raises a Mistake unless the class that the confound gives away is one of the task's."""
        if self.label not in classes:
            raise Mistake(f"data.confound.class={self.label} is no class of this task; choose {', '.join(classes)}.")

    def carried_by(self, clip: Clip) -> bool:
        """Whether a clip carries the confound."""
        probability = self.probability if clip.labels.get(self.column) == self.label else 1 - self.probability
        return bool(self._random(clip).random() < probability)

    def plant(self, waveform: np.ndarray, start: int, stop: int, clip: Clip) -> None:
        """Plants the confound into all channels of a waveform (C, T), float32 in [-1, 1], in place.

        If a hum or a click raises the peak above 1, the whole waveform is scaled down to a peak of 1. If the frame has
        no room for the clip behind its lead-in, the end of the clip is lost. If it has room, the rest of the silence is
        divided before and after the clip in the same proportion as it was.

        Args:
            start, stop: the samples between which the clip lies.
            clip: the clip of this waveform.
        """
        length = waveform.shape[1]
        if self.kind == "lead_in":
            lead, free = self._stop(length), length - (stop - start)
            later = lead + (round(start * max(0, free - lead) / free) if free else 0)
            sound = waveform[:, start:stop].copy()
            waveform[:] = 0
            waveform[:, later : later + sound.shape[1]] = sound[:, : length - later]
            return
        random = self._random(clip)
        random.random()  # skips the number that `carried_by` draws
        planted = self._hum(length, random) if self.kind == "hum" else self._click(length, random)
        level = _root_mean_square(waveform[:, start:stop]) * 10 ** (self.level_db / 20)
        waveform[:, : len(planted)] += planted * (level / _root_mean_square(planted))
        if (peak := np.abs(waveform).max()) > 1:
            waveform /= peak

    def region(self, length: int) -> Region:
        """The ground truth for all clips that carry the confound, in frames of `length` samples.

        A hum fills the time axis; a click and a lead-in fill the frequency axis. In a domain that has only the filled
        axis, the share of relevance in the region means nothing. A lead-in is silent: methods that multiply with the
        input give it no relevance, whatever the network has learnt from it.
        """
        bands: tuple[tuple[float, float], ...] = ((0.0, self.sample_rate / 2),)
        if self.kind == "hum":
            bands = tuple((hertz - HALF_WIDTH_HZ, hertz + HALF_WIDTH_HZ) for hertz in self._harmonics())
        return Region(length, self.sample_rate, self._stop(length), bands)

    def _stop(self, length: int) -> int:
        """How many samples at the start of the frame are planted."""
        if self.kind == "hum":
            return length
        seconds = CLICK_SECONDS if self.kind == "click" else self.seconds
        return min(length, max(1, round(seconds * self.sample_rate)))

    def _harmonics(self) -> np.ndarray:
        hertz = MAINS_HZ * np.arange(1, HARMONICS + 1)
        return hertz[hertz < self.sample_rate / 2]

    def _hum(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A hum (T,) as of one power line: its harmonics are in phase, and it begins at a random moment."""
        seconds = np.arange(length) / self.sample_rate + random.random() / MAINS_HZ
        return sum(np.sin(2 * np.pi * hertz * seconds) / hertz for hertz in self._harmonics())

    def _click(self, length: int, random: np.random.Generator) -> np.ndarray:
        """A click (samples of the click,): white noise that decays."""
        seconds = np.arange(self._stop(length)) / self.sample_rate
        return random.uniform(-1, 1, len(seconds)) * np.exp(-seconds / DECAY_SECONDS)

    def _random(self, clip: Clip) -> np.random.Generator:
        return np.random.default_rng((self.seed, zlib.crc32(clip.path.encode(errors="surrogateescape"))))


def _root_mean_square(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
