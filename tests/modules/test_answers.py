"""Losses and metrics of classes, tags and numbers, against scikit-learn and NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn import metrics as reference
from torch import Tensor, nn

from auscult.modules.answers import ANSWERS, ClassAnswers, NumberAnswers, TagAnswers
from auscult.modules.augmentation import Augmentation
from auscult.program.training_options import BEST_BY

NAMES = ["a", "b", "c"]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def measured(answers, read: Tensor, labels: Tensor) -> dict[str, float]:
    """Each metric of two batches of different sizes."""
    values = {}
    for name in answers.measured:
        metric = answers.metric(name)
        for part in (slice(0, 30), slice(30, None)):
            metric.update(read[part], labels[part])
        values[name] = metric.compute().item()
        metric.reset()
        metric.update(read, labels)
        assert metric.compute().item() == pytest.approx(values[name], abs=1e-6)
    return values


def test_what_may_choose_the_best_is_measured():
    for kind, answers in ANSWERS.items():
        assert (*answers.measured, "loss") == BEST_BY[kind]
        assert set(answers.trained) <= set(answers.measured)


def test_metrics_of_classes():
    outputs, labels = draw(50, 3), torch.randint(2, (50,), generator=torch.Generator().manual_seed(1))  # none is "c"
    values, said = measured(ClassAnswers(NAMES), outputs.softmax(1), labels), outputs.argmax(1)
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(labels, said))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert values["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, said))
    assert values["f1"] == pytest.approx(reference.f1_score(labels, said, average="macro"))


def test_metrics_of_tags():
    answers, outputs = TagAnswers(NAMES), draw(50, 3)
    labels = (draw(50, 3, seed=1) + outputs > 0).float()
    read = answers.read(outputs)
    np.testing.assert_allclose(read, expit(outputs.double()), atol=1e-6)
    values = measured(answers, read, labels)
    assert values["map"] == pytest.approx(reference.average_precision_score(labels, read, average="macro"))
    assert values["auc"] == pytest.approx(reference.roc_auc_score(labels, read, average="macro"))
    assert values["f1"] == pytest.approx(reference.f1_score(labels, read >= 0.5, average="macro"))
    odds = outputs.double()
    expected = (torch.log1p(odds.exp()) - labels * odds).mean()
    assert answers.loss(outputs, labels).item() == pytest.approx(expected.item(), abs=1e-6)


def test_metrics_of_numbers():
    answers, labels = NumberAnswers(["age"]), 40 + 9 * draw(50)
    answers.prepare(labels, is_balanced=False)
    outputs = draw(50, 1, seed=1)
    read = answers.read(outputs)[:, 0]
    np.testing.assert_allclose(read, labels.mean() + labels.std(correction=0) * outputs[:, 0], rtol=1e-5)
    values = measured(answers, read, labels)
    assert values["mae"] == pytest.approx((read - labels).abs().mean().item(), rel=1e-5)
    assert values["correlation"] == pytest.approx(np.corrcoef(read, labels)[0, 1], abs=1e-5)
    spread = labels.std(correction=0)
    assert answers.loss(outputs, labels).item() == pytest.approx(
        (((read - labels) / spread) ** 2).mean().item(), rel=1e-4
    )


def test_the_network_of_a_number_answers_in_its_unit():
    answers, network = NumberAnswers(["age"]), nn.Linear(4, 1)
    answers.prepare(torch.tensor([20.0, 60.0]), is_balanced=False)
    input = draw(5, 4)
    torch.testing.assert_close(answers.whole(network)(input), 40 + 20 * network(input))
    assert set(answers.state_dict()) == {"mean", "spread"}  # they are in the checkpoint


def test_numbers_that_are_all_the_same_have_a_loss():
    answers = NumberAnswers(["age"])
    answers.prepare(torch.full((4,), 7.0), is_balanced=False)
    assert answers.loss(torch.zeros(4, 1), torch.full((4,), 7.0)).item() == 0


def test_balanced_classes_weigh_the_same():
    answers, labels = ClassAnswers(NAMES), torch.tensor([0] * 8 + [1] * 2)
    answers.prepare(labels, is_balanced=True)
    outputs = torch.zeros(10, 3)
    outputs[:8, 0], outputs[8:, 1] = 1.0, -2.0
    each = -torch.log_softmax(outputs.double(), 1)[torch.arange(10), labels]
    expected = (each[:8].mean() + each[8:].mean()) / 2
    assert answers.training_loss(outputs, labels).item() == pytest.approx(expected.item(), abs=1e-6)
    assert answers.loss(outputs, labels).item() == pytest.approx(each.mean().item(), abs=1e-6)
    assert not answers.state_dict()  # a checkpoint without weights opens


def test_balanced_tags_weigh_the_same():
    answers, labels = TagAnswers(["a"]), torch.tensor([[1.0]] * 2 + [[0.0]] * 8)
    answers.prepare(labels, is_balanced=True)
    outputs = draw(10, 1)
    each = torch.nn.functional.binary_cross_entropy_with_logits(outputs.double(), labels.double(), reduction="none")
    expected = (4 * each[:2].sum() + each[2:].sum()) / 10
    assert answers.training_loss(outputs, labels).item() == pytest.approx(expected.item(), abs=1e-6)


def test_tags_that_no_clip_has_do_not_count():
    outputs, labels = draw(50, 3), (draw(50, 3, seed=1) > 0).float()
    labels[:, 1], labels[:, 2] = 0, 1  # one tag that none has, and one that all have
    read = outputs.sigmoid()
    values = measured(TagAnswers(NAMES), read, labels)
    known, areas = [0, 2], [0]
    precisions = [reference.average_precision_score(labels[:, tag], read[:, tag]) for tag in known]
    assert values["map"] == pytest.approx(np.mean(precisions))
    assert values["auc"] == pytest.approx(reference.roc_auc_score(labels[:, areas], read[:, areas]))
    f1 = [reference.f1_score(labels[:, tag], read[:, tag] >= 0.5) for tag in known]
    assert values["f1"] == pytest.approx(np.mean(f1))


@pytest.mark.parametrize("label", [torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])])
def test_mixed_labels_keep_their_mean(label):
    torch.manual_seed(0)
    input, target = Augmentation(mixup=1.0).mixed(draw(2, 1, 8), label, 2)
    assert target.shape == label.shape
    low, high = label.min(), label.max()
    assert ((target >= low) & (target <= high)).all() and input.shape == (2, 1, 8)
