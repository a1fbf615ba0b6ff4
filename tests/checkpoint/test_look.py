"""What is read of a checkpoint without PyTorch is what PyTorch reads."""

import pickle

import pytest
import torch

from auscult.checkpoint.checkpoint import open_checkpoint
from auscult.checkpoint.look import KEY, card_of
from auscult.mistake import Mistake
from tests.attacks import with_card


def test_a_card_is_as_pytorch_reads_it(trained, tmp_path):
    path = trained("melcnn", "digit")
    assert card_of(path, "checkpoint") == torch.load(path, weights_only=True)[KEY]
    odd = with_card(path, tmp_path / "odd.ckpt", "classes", [torch.zeros(2), {"a": [1, 2.5, None, True]}])
    assert card_of(odd, "checkpoint")["classes"][1] == {"a": [1, 2.5, None, True]}


class Runs:
    """Unpickling it would raise the exception that it names."""

    def __reduce__(self):
        return exec, ("raise SystemError",)


@pytest.mark.parametrize("content", [{KEY: Runs()}, {KEY: {"config": {}}}, {"weights": torch.zeros(2)}, [1], {KEY: 1}])
@pytest.mark.parametrize("length", [None, -1, 100, 0])
def test_what_is_refused_later_is_refused_now_and_in_the_same_words(content, length, tmp_path):
    torch.save(content, tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes((tmp_path / "x.ckpt").read_bytes()[:length])
    sentences = []
    for look in (card_of, open_checkpoint):
        with pytest.raises(Mistake) as mistake:
            look(tmp_path / "x.ckpt", "checkpoint")
        sentences.append(str(mistake.value))
    assert sentences[0] == sentences[1]


def test_a_bare_pickle_is_not_run(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(Runs()))
    with pytest.raises(Mistake, match="not safe to open"):
        card_of(tmp_path / "x.ckpt", "checkpoint")
