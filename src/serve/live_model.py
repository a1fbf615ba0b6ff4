"""The network of the live page: it explains one recording at a time."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auscult.datamodules.audio.audio_file import BadRecording
from auscult.datamodules.recording import prepare
from auscult.explain.domain.domains import Domain
from auscult.explain.interface import attribution_from, domain_from, explain
from auscult.explain.loading import TrainedModel
from auscult.explain.show.audible import SMOOTHING_SECONDS
from auscult.explain.show.media import Sound
from auscult.explain.show.plate import Plate, plate
from auscult.explain.waveform import clip_of
from auscult.mistake import Mistake
from auscult.serve.upload import BadUpload

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the network heard.

    Args:
        prediction: the likeliest class; all tags that hold; or the number.
        target: the class, tag or number that is explained.
        named: the classes or tags of the prediction.
        probabilities: class -> probability.
        plate: the clip and its relevance.
        sounds: the clip, and its relevance made audible.
        length: seconds of the clip.
        cut: whether the recording is longer than a clip: the network listened only to its loudest part.
        seconds: how long the answer took.
    """

    prediction: str
    target: str
    named: list[str]
    probabilities: dict[str, float]
    plate: Plate
    sounds: list[Sound]
    length: float
    cut: bool
    seconds: float


def fitting(model: TrainedModel, names: list[str], samples: int) -> dict[str, Domain]:
    """The domains of these names that fit a model, at least one.

    Raises:
        Mistake: none of them fits.
    """
    domains, reasons = {}, []
    for name in names:
        try:
            domains[name] = domain_from(name, model, samples)
        except Mistake as mistake:
            reasons.append(mistake)
            log.warning("The page has no domain %s: %s", name, mistake)
    if not domains:
        raise reasons[0]
    return domains


class LiveModel:
    """A network, and the attributions and domains that explain it.

    Args:
        model: of a checkpoint, or of the user's own.
        attributions, domains: names that visitors can choose from.
        device: where the network runs.
        smoothing: seconds over which relevance of samples is smoothed before it is heard.
        own_length: each recording keeps its length, up to that of the model's clips, instead of being filled up.

    Raises:
        Mistake: one of the choices does not fit the network.
    """

    def __init__(
        self,
        model: TrainedModel,
        attributions: list[str],
        domains: list[str],
        device: torch.device,
        smoothing: float = SMOOTHING_SECONDS,
        own_length: bool = False,
    ) -> None:
        self.smoothing, self.own_length = smoothing, own_length
        self.model = model.to(device)
        self.asked = model.having(model.network).eval() if own_length else model  # which takes any length
        self.trained: dict[str, Any] = self.model.config
        settings = self.model.settings
        length = round(settings.seconds * settings.sample_rate)
        self.turn = threading.Lock()  # one visitor at a time: an attribution changes the network's hooks meanwhile
        self.attributions = {name: attribution_from(name) for name in attributions}
        self.domains = fitting(self.model, domains, length)
        noise = 0.1 * np.random.default_rng(0).standard_normal((length, 1)).astype(np.float32)
        # the first answer is slow: it is made before the first visitor comes
        self(*self.clip(noise, settings.sample_rate), attributions[0], next(iter(self.domains)), "predicted")

    @property
    def unit(self) -> str:
        """The unit of the network's number; empty if it has none."""
        return str(self.trained["task"].get("unit") or "") if self.model.kind == "number" else ""

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return self.model.classes

    def clip(self, samples: np.ndarray, rate: int) -> tuple[np.ndarray, bool]:
        """A recording, prepared as the network's own clips were, (C, T) float32; and whether it was cut.

        With `own_length`, T is that of the recording.

        Args:
            samples: (frames, channels), float32 in [-1, 1].
            rate: sample rate in hertz.

        Raises:
            BadUpload: there is nothing to listen to.
        """
        settings = self.model.settings
        try:
            if self.own_length:
                prepared = prepare(samples, rate, settings)
                return prepared.waveform, prepared.cut
            return clip_of(samples, rate, settings, self.model.place)
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
        method = self.attributions[attribution]
        view = domain if self.own_length else self.domains[domain]  # which is made for one length
        label = None if target == "predicted" else target
        with self.turn:
            try:
                explained = explain(
                    self.asked, clip, attribution=method, domain=view, target=label, smoothing=self.smoothing
                )
            except Mistake as mistake:
                raise BadUpload(f"{str(mistake)[:1].upper()}{str(mistake)[1:]}") from mistake
            drawn = plate(explained.view, *explained.channels, explained.target)
            sounds = explained.files
        shares = explained.probabilities.tolist()
        probabilities = dict(zip(self.classes, shares, strict=True)) if shares else {}
        seconds = time.perf_counter() - started
        length = clip.shape[1] / explained.sample_rate
        named = [explained.prediction]
        if self.model.kind == "tags":
            named = [name for name, share in probabilities.items() if share >= 0.5]
        prediction = f"{', '.join(named) or 'none of its tags'} {self.unit}".strip()
        target = prediction if self.model.kind == "number" else explained.target  # there is nothing else to explain
        return Answer(prediction, target, named, probabilities, drawn, sounds, length, cut, seconds)
