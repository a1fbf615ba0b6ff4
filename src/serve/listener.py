"""A network that listens to one recording at a time and says what it heard, and why."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hydra import compose

from src.build import build_named
from src.checkpoint import KEY, classifier_of, open_checkpoint
from src.config import plain
from src.datamodules.recording import FULL_SCALE, BadRecording, ClipSettings, prepare
from src.explain.domain import Domain
from src.explain.panels import View, audible, picture
from src.explain.report import Picture, Sound
from src.mistake import Mistake
from src.serve.upload import BadUpload


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
        self.classifier = classifier_of(opened).to(device)
        self.settings = ClipSettings(**self.trained["data"]["clip"])
        self.length = round(self.settings.seconds * self.settings.sample_rate)
        self.turn = threading.Lock()  # of the visitors: relevance changes the network's hooks meanwhile
        self.attributions = {name: self._built("attribution", name) for name in attributions}
        self.domains: dict[str, Domain] = {}
        for name in domains:
            self.domains[name] = self._built("domain", name, self.classifier, self.length, self.settings.sample_rate)
            self.domains[name].classifier.to(device)
        noise = 0.1 * np.random.default_rng(0).standard_normal((self.length, 1)).astype(np.float32)
        # what is slow once is slow now, and not for the first visitor
        self(*self.clip(noise, self.settings.sample_rate), attributions[0], domains[0], "predicted")

    @property
    def classes(self) -> list[str]:
        return list(self.classifier.classes)

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
        view = self.domains[domain]
        with self.turn, torch.no_grad():
            waveform = torch.from_numpy(clip).view(1, 1, -1).to(self.classifier.device)  # (1, 1, T)
            input = view.classifier.front_end(waveform)
            logits = view.classifier.network(input).float()  # (1, C)
            predicted = logits.argmax(1)  # (1,)
            chosen = predicted if target == "predicted" else torch.full_like(predicted, self.classes.index(target))
            try:
                relevance, _ = view.relevance(self.attributions[attribution], waveform, input, chosen)
            except Mistake as mistake:
                raise BadUpload(f"{str(mistake)[:1].upper()}{str(mistake)[1:]}") from mistake
            drawn = View.of(view.classifier, self.settings.sample_rate, tuple(input.shape[1:]))
            shown = relevance[0, 0].cpu().numpy()
            title = f"Relevance for {self.classes[int(chosen)]}"
            image, heard = picture(drawn, clip, shown, title), audible(drawn, clip, shown)
        shares = logits.softmax(1)[0].tolist()
        return Answer(
            self.classes[int(predicted)], self.classes[int(chosen)],
            dict(zip(self.classes, shares, strict=True)), image, heard, cut, time.perf_counter() - started,
        )  # fmt: skip

    def _built(self, group: str, name: str, *arguments: Any) -> Any:
        return build_named(plain(compose("explain", [f"{group}={name}"])[group]), group, *arguments)
