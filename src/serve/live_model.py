"""The network of the live page: it explains one recording at a time."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auscult.datamodules.audio.audio_file import BadRecording
from auscult.explain.interface import attribution_from, domain_from, explain, load
from auscult.explain.show.audible import SMOOTHING_SECONDS
from auscult.explain.show.media import Sound
from auscult.explain.show.plate import Plate, plate
from auscult.explain.waveform import clip_of
from auscult.mistake import Mistake
from auscult.serve.upload import BadUpload


@dataclass(frozen=True)
class Answer:
    """What the network heard.

    Args:
        prediction, target: the likeliest class, and the one that is explained.
        probabilities: class -> probability.
        plate: the clip and its relevance.
        sounds: the clip, and its relevance made audible.
        length: seconds of the clip.
        cut: whether the recording is longer than a clip: the network listened only to its loudest part.
        seconds: how long the answer took.
    """

    prediction: str
    target: str
    probabilities: dict[str, float]
    plate: Plate
    sounds: list[Sound]
    length: float
    cut: bool
    seconds: float


class LiveModel:
    """A checkpoint's network, and the attributions and domains that explain it.

    Args:
        checkpoint: path of a `best.ckpt`.
        attributions, domains: names that visitors can choose from.
        device: where the network runs.
        allow: packages of the user's own that the network may come from.
        smoothing: seconds over which relevance of samples is smoothed before it is heard.

    Raises:
        Mistake: the checkpoint cannot be read, or one of the choices does not fit its network.
    """

    def __init__(
        self,
        checkpoint: str,
        attributions: list[str],
        domains: list[str],
        device: torch.device,
        allow: Sequence[str] = (),
        smoothing: float = SMOOTHING_SECONDS,
    ) -> None:
        self.smoothing = smoothing
        self.model = load(checkpoint, allow).to(device)
        self.trained: dict[str, Any] = self.model.config
        settings = self.model.settings
        length = round(settings.seconds * settings.sample_rate)
        self.turn = threading.Lock()  # one visitor at a time: an attribution changes the network's hooks meanwhile
        self.attributions = {name: attribution_from(name) for name in attributions}
        self.domains = {name: domain_from(name, self.model, length) for name in domains}
        noise = 0.1 * np.random.default_rng(0).standard_normal((length, 1)).astype(np.float32)
        # the first answer is slow: it is made before the first visitor comes
        self(*self.clip(noise, settings.sample_rate), attributions[0], domains[0], "predicted")

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return self.model.classes

    def clip(self, samples: np.ndarray, rate: int) -> tuple[np.ndarray, bool]:
        """A recording, prepared as the network's own clips were, (T,) float32; and whether it was cut.

        Args:
            samples: (frames, channels), float32 in [-1, 1].
            rate: sample rate in hertz.

        Raises:
            BadUpload: there is nothing to listen to.
        """
        try:
            return clip_of(samples, rate, self.model.settings)
        except BadRecording as reason:
            raise BadUpload(f"There is nothing to listen to ({reason}); speak louder, or send another one.") from reason

    def __call__(self, clip: np.ndarray, cut: bool, attribution: str, domain: str, target: str) -> Answer:
        """Listens to a clip.

        Args:
            clip, cut: see `clip`.
            attribution, domain: one of the choices.
            target: "predicted", or a class.

        Raises:
            BadUpload: the attribution has no meaning in this domain.
        """
        started = time.perf_counter()
        method, view = self.attributions[attribution], self.domains[domain]
        label = None if target == "predicted" else target
        with self.turn:
            try:
                explained = explain(
                    self.model, clip, attribution=method, domain=view, target=label, smoothing=self.smoothing
                )
            except Mistake as mistake:
                raise BadUpload(f"{str(mistake)[:1].upper()}{str(mistake)[1:]}") from mistake
            relevance = explained.relevance.numpy()
            drawn = plate(explained.view, clip, relevance, explained.target)
            sounds = explained.files
        probabilities = dict(zip(self.classes, explained.probabilities.tolist(), strict=True))
        seconds = time.perf_counter() - started
        length = len(clip) / explained.sample_rate
        return Answer(explained.prediction, explained.target, probabilities, drawn, sounds, length, cut, seconds)
