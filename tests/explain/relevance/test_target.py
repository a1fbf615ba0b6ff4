"""Which targets a network can be asked for, and what becomes of the labels."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auscult.datamodules.clips import Clip
from auscult.datamodules.source import Source
from auscult.explain.relevance.aim import aim_at
from auscult.explain.relevance.target import check_target
from auscult.mistake import Mistake
from auscult.modules.model import Model

ANIMALS = ["cat", "cow", "dog", "wolf"]


def model(kind: str = "classes", classes: list[str] = ANIMALS) -> Model:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(100, len(classes)))
    return Model(network, classes=classes, sample_rate=1000, kind=kind).eval()


@dataclass
class Rows:
    """As much of a data set as labels need."""

    labels: np.ndarray

    def of_rows(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        return SimpleNamespace(labels=labels, rows=rows)


def source(labels: Any) -> Source:
    return Source(Rows(np.array(labels)), [Clip(f"{n}.wav", "a") for n in range(len(labels))], [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "against", "kind", "says"),
    [
        ("bird", None, "classes", "target=bird is unknown; choose predicted, true, or one of cat, cow, dog, wolf."),
        ("Dog", None, "classes", "target=Dog is unknown; say target=dog."),
        (["dog", "bird"], None, "classes", "target has bird, which is no class; choose one of cat, cow, dog, wolf."),
        (["dog", "dog"], None, "classes", "target names dog twice; name it once."),
        (ANIMALS, None, "classes", "target names all classes"),
        ("dog", "dog", "classes", "target and against both name dog"),
        ("dog", "bird", "classes", "against has bird, which is no class"),
        ("predicted", "rest", "classes", "target=predicted differs from clip to clip"),
        ("regression:f0", None, "classes", "tells classes apart and gives no number"),
        ("true", None, "tags", "several tags may hold of a clip"),
        (["dog", "cow"], None, "tags", "tags do not exclude each other"),
        ("dog", "cow", "tags", "tags do not exclude each other"),
        ("bird", None, "tags", "target=bird is unknown; choose predicted, or one of cat, cow, dog, wolf."),
        ("predicted", None, "number", "target=predicted is unknown; choose cat, cow, dog, wolf."),
        ("dog", "cow", "number", "are of classes, and the network gives a number"),
    ],
)
def test_what_cannot_be_asked_is_named(target, against, kind, says):
    with pytest.raises(Mistake) as caught:
        check_target(target, ANIMALS, against, kind)
    assert says in str(caught.value)


def test_what_can_be_asked_is_answered():
    whole = model()
    assert aim_at(whole, "predicted").target == "predicted" and aim_at(whole, "true").model is whole
    assert aim_at(whole, "dog").target == 2
    contrast = aim_at(whole, "dog", ["cat", "cow"])
    assert contrast.model.classes == ["dog", "cat or cow"] and contrast.target == 0
    assert aim_at(whole, ["dog", "wolf"]).model.classes == ["dog or wolf", "the rest"]
    assert aim_at(model("tags"), "dog").model.classes == ["no dog", "dog"]
    assert aim_at(model("tags"), "predicted").model.classes == ANIMALS
    assert aim_at(model("number", ["age"]), "predicted").target == 0
    assert aim_at(model("number"), "regression:cow").model.classes == ["cow"]


def test_a_class_called_rest_is_that_class():
    assert aim_at(model(classes=["cat", "dog", "rest"]), "cat", "rest").classes == [[0], [2]]
    assert aim_at(model(), "cat", "rest").classes == [[0], [1, 2, 3]]


def test_clips_of_other_classes_are_left_out():
    labelled = aim_at(model(), "dog", "cat").labelled(source([0, 1, 2, 3, 2]))
    assert labelled.labels.tolist() == [1, 0, 0] and [clip.path for clip in labelled.clips] == [
        "0.wav",
        "2.wav",
        "4.wav",
    ]
    rest = aim_at(model(), ["dog", "wolf"]).labelled(source([0, 1, 2, 3]))
    assert rest.labels.tolist() == [1, 1, 0, 0]
    with pytest.raises(Mistake, match="none of the clips is of a class that target or against names"):
        aim_at(model(), "dog", "cat").labelled(source([1, 3]))


def test_labels_that_are_not_known_stay_so():
    assert aim_at(model(), "dog", "cat").labelled(source([-1, -1])).labels.tolist() == [-1, -1]
    assert np.isnan(aim_at(model("number", ["age"]), "predicted").labelled(source([-1])).labels).all()
    tags = aim_at(model("tags"), "predicted").labelled(source(np.ones((2, 4), np.float32)))
    assert tags.labels.tolist() == [-1, -1] and not tags.is_labelled


def test_the_labels_of_a_tag_are_yes_and_no():
    tags = np.array([[0, 0, 1, 0], [1, 0, 0, 0]], np.float32)
    assert aim_at(model("tags"), "dog").labelled(source(tags)).labels.tolist() == [1, 0]
