"""A network that its options do not let anybody build."""

import pytest

from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.run.training import new_classifier

CLIP = {"seconds": 1.0, "sample_rate": 8000}


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def from_config(config: dict, classes: list[str]) -> Classifier:
        raise error

    monkeypatch.setattr(Classifier, "from_config", from_config)


def config(**clip: float) -> dict:
    return {"seed": 0, "allow": [], "data": {"clip": {**CLIP, **clip}}}


def test_any_error_of_the_network_is_a_mistake_in_its_options(monkeypatch):
    fails(monkeypatch, RuntimeError("mat1 and mat2 shapes\ncannot be multiplied"))
    with pytest.raises(
        Mistake,
        match=r"^model: it cannot be built of these options \(RuntimeError: mat1 and mat2 shapes"
        r" cannot be multiplied\)\.$",
    ):
        new_classifier(config(), ["a", "b"])


def test_memory_that_lacks_is_said_of_long_clips_alone(monkeypatch):
    fails(monkeypatch, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    with pytest.raises(
        Mistake, match=r"^data\.clip\.seconds=3600 at data\.clip\.sample_rate=8000 .* choose shorter clips"
    ):
        new_classifier(config(seconds=3600.0), ["a", "b"])
    with pytest.raises(Mistake, match=r"^model: it cannot be built"):
        new_classifier(config(), ["a", "b"])


def test_the_author_of_a_network_sees_where_it_fails(monkeypatch):
    fails(monkeypatch, KeyError("depth"))
    with pytest.raises(KeyError, match="depth"):
        new_classifier({**config(), "allow": ["my_package"]}, ["a", "b"])
