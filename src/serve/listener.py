"""A network that listens to one recording at a time and says what it heard, and why."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hydra import compose

from auscult.build import build_named
from auscult.checkpoint.checkpoint import KEY, model_of, open_checkpoint
from auscult.datamodules.recording import FULL_SCALE, BadRecording, ClipSettings, prepare
from auscult.explain.attribution.base import attribution_of
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import explain
from auscult.explain.show.clip import View, audible, picture
from auscult.explain.show.media import Picture, Sound
from auscult.mistake import Mistake
from auscult.program.config import plain
from auscult.serve.upload import BadUpload


@dataclass(frozen=True)
class Answer:
    """What the network heard.

    Args:
        prediction, target: the likeliest class, and the one that is explained.
        probabilities: of each class.
        picture: of the clip and its relevance.
        sounds: the clip, and what can be heard of its relevance.
        cut: whether the recording is longer than a clip, so that only its loudest part was listened to.
        seconds: that it took.
    """

    prediction: str
    target: str
    probabilities: dict[str, float]
    picture: Picture
    sounds: list[Sound]
    cut: bool
    seconds: float


class Listener:
    """A checkpoint's network and what may be asked of it.

    Args:
        checkpoint: path of a `best.ckpt`.
        attributions, domains: names that visitors can choose from.
        device: where the network runs.
        allow: packages of the user's own that the network may come from.

    Raises:
        Mistake: the checkpoint cannot be read, or cannot be asked one of the choices.
    """

    def __init__(
        self,
        checkpoint: str,
        attributions: list[str],
        domains: list[str],
        device: torch.device,
        allow: Sequence[str] = (),
    ) -> None:
        opened = open_checkpoint(checkpoint, "checkpoint", allow)
        self.trained: dict[str, Any] = opened[KEY]["config"]
        self.model = model_of(opened).to(device)
        self.settings = ClipSettings(**self.trained["data"]["clip"])
        self.length = round(self.settings.seconds * self.settings.sample_rate)
        self.turn = threading.Lock()  # of the visitors: relevance changes the network's hooks meanwhile
        self.attributions = {name: attribution_of(chosen("attribution", name)) for name in attributions}
        self.domains: dict[str, Domain] = {}
        for name in domains:
            self.domains[name] = build_named(chosen("domain", name), "domain", self.model, self.length)
            self.domains[name].model.to(device)
        noise = 0.1 * np.random.default_rng(0).standard_normal((self.length, 1)).astype(np.float32)
        # what is slow once is slow now, and not for the first visitor
        self(*self.clip(noise, self.settings.sample_rate), attributions[0], domains[0], "predicted")

    @property
    def classes(self) -> list[str]:
        return self.model.classes

    def clip(self, samples: np.ndarray, rate: int) -> tuple[np.ndarray, bool]:
        """A recording, prepared as the network's own clips were, (T,) float32; and whether it was cut.

        Args:
            samples: (frames, channels), float32 in [-1, 1].
            rate: of the samples, in hertz.

        Raises:
            BadUpload: there is no sound in it.
        """
        try:
            prepared = prepare(samples, rate, self.settings)
        except BadRecording as reason:
            raise BadUpload(f"There is nothing to listen to ({reason}); speak louder, or send another one.") from reason
        clip = np.zeros(self.length, np.float32)
        offset = (self.length - len(prepared.samples)) // 2
        clip[offset : offset + len(prepared.samples)] = prepared.samples / np.float32(FULL_SCALE)
        return clip, prepared.cut

    def __call__(self, clip: np.ndarray, cut: bool, attribution: str, domain: str, target: str) -> Answer:
        """Listens to a clip.

        Args:
            clip, cut: see `clip`.
            attribution, domain: one of the choices.
            target: "predicted", or a class.

        Raises:
            BadUpload: the attribution cannot be asked in this domain.
        """
        started = time.perf_counter()
        asked = target if target == "predicted" else self.classes.index(target)
        with self.turn:
            waveform = torch.from_numpy(clip).view(1, 1, -1).to(self.model.device)  # (1, 1, T)
            try:
                explained = explain(self.domains[domain], self.attributions[attribution], waveform, asked)
            except Mistake as mistake:
                raise BadUpload(f"{str(mistake)[:1].upper()}{str(mistake)[1:]}") from mistake
            view = View.of(self.domains[domain].model, tuple(explained.input.shape[1:]))
            relevance, logits = explained.relevance[0, 0].cpu().numpy(), explained.logits
            prediction, explains = (self.classes[int(number)] for number in (logits.argmax(), explained.target))
            image = picture(view, clip, relevance, f"Relevance for {explains}")
            heard = audible(view, clip, relevance)
        probabilities = dict(zip(self.classes, logits.softmax(1)[0].tolist(), strict=True))
        return Answer(prediction, explains, probabilities, image, heard, cut, time.perf_counter() - started)


def chosen(group: str, name: str) -> dict[str, Any]:
    """A choice of a group of the configuration."""
    return plain(compose("explain", [f"{group}={name}"])[group])
