"""Weights come in files of many kinds, under names with and without prefixes; none of them runs code."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from safetensors.torch import save_file
from torch import nn

from auscult.mistake import Mistake
from auscult.pretrained.factory import network_of
from auscult.pretrained.weights import load_weights
from tests.pretrained import networks

FILE = networks.__file__


def trained() -> nn.Module:
    network = networks.Mel(5)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.25)
    return network.eval()


def equal(network: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


class Lightning(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.loss = trained(), nn.CrossEntropyLoss(weight=torch.ones(5))
        self.save_hyperparameters({"width": 4})


def write(path, kind: str) -> None:
    state = trained().state_dict()
    if kind == "lightning":
        trainer = Trainer(logger=False, barebones=True)
        trainer.strategy.connect(Lightning())
        trainer.save_checkpoint(path)
    elif path.suffix == ".safetensors":
        save_file({kind + name: value.contiguous().clone() for name, value in state.items()}, path)
    else:
        held = (
            {kind: state, "epoch": 3} if kind.endswith("state_dict") else {kind + name: v for name, v in state.items()}
        )
        torch.save(held, path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("best.safetensors", ""), ("best.safetensors", "model."), ("best.pt", ""), ("best.pth", "module."),
        ("best.pt", "_orig_mod."), ("best.pt", "_orig_mod.module."), ("best.bin", "model_state_dict"),
        ("best.pt", "state_dict"), ("last.ckpt", "lightning"),
    ],
)  # fmt: skip
def test_weights_find_their_places(tmp_path, name, kind):
    write(tmp_path / name, kind)
    network = networks.Mel(5)
    assert not equal(network, trained())
    load_weights(network, tmp_path / name)
    assert equal(network, trained())


def test_weights_of_a_part_have_the_prefix_of_the_whole(tmp_path):
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = networks.Mel(5)

    save_file({name: value.clone() for name, value in trained().state_dict().items()}, tmp_path / "part.safetensors")
    whole = Whole()
    load_weights(whole, tmp_path / "part.safetensors")
    assert equal(whole.encoder, trained())


def test_what_is_left_over_is_said_and_what_is_missing_refused(tmp_path, caplog):
    state = {name: value.clone() for name, value in trained().state_dict().items()}
    save_file({**state, "loss.weight": torch.ones(5)}, tmp_path / "more.safetensors")
    load_weights(networks.Mel(5), tmp_path / "more.safetensors")
    assert "one tensor is left over" in caplog.text and "loss.weight" in caplog.text
    for name in ("dense.weight", "dense.bias"):
        state.pop(name)
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(Mistake, match=r"lack 2 of the network's 11 tensors \(dense.weight, dense.bias\)"):
        load_weights(networks.Mel(5), tmp_path / "less.safetensors")


def test_weights_of_another_network(tmp_path):
    write(tmp_path / "best.pt", "")
    with pytest.raises(Mistake, match=r"2 tensors of other shapes \(dense.weight is \(5, 4\) in the file and \(7,"):
        load_weights(networks.Mel(7), tmp_path / "best.pt")
    with pytest.raises(Mistake, match="none of its names"):
        load_weights(nn.Sequential(nn.Linear(2, 2)), tmp_path / "best.pt")


def test_half_precision_is_read_and_old_weight_norm_too(tmp_path):
    torch.save({name: value.half() for name, value in trained().state_dict().items()}, tmp_path / "half.pt")
    network = networks.Mel(5)
    load_weights(network, tmp_path / "half.pt")
    assert network.dense.weight.dtype == torch.float32
    assert torch.allclose(network.dense.weight, trained().dense.weight, atol=1e-3)
    old, new = (nn.utils.weight_norm(nn.Linear(2, 3)), nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)))
    torch.save(old.state_dict(), tmp_path / "old.pt")
    load_weights(new, tmp_path / "old.pt")
    assert torch.allclose(old(torch.ones(1, 2)), new(torch.ones(1, 2)))


class Code:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_files_that_hold_no_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": trained().state_dict(), "more": Code()}, "code.pt")
    torch.save([1, 2], "list.pt")
    torch.save({"epoch": 3}, "none.pt")
    torch.save(trained(), "whole.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10" * 40)
    for name, message in {
        "code.pt": "no file may bring code", "list.pt": "hold a list", "none.pt": r"hold a dict \(epoch\)",
        "whole.pt": "no file may bring code", "broken.pt": "cannot be read", "broken.safetensors": "no whole file",
    }.items():  # fmt: skip
        with pytest.raises(Mistake, match=message):
            load_weights(networks.Mel(5), tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "options", "classes", "message"),
    [
        ("Mle", None, 5, "has no Mle; choose Mel"),
        ("constant", None, 5, "is a int; name a class"),
        ("number", None, 5, "makes a int; let it return"),
        ("fails", None, 5, r"fails in .*networks.py:\d+ \(RuntimeError: no such luck\)"),
        ("Mel", None, None, "needs the argument num_classes; name the classes by classes=…"),
        ("Mel", {"widht": 3}, 5, "network_options.widht: .* choose width"),
        ("Frames", {"width": 3}, 5, "network_options.width: .* leave it out"),
        ("ready", {"width": 3}, 5, "is a module, and takes none"),
    ],
)
def test_what_no_network_is_made_by(name, options, classes, message):
    with pytest.raises(Mistake, match=message):
        network_of(f"{FILE}:{name}", options, classes)


def test_factories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    (tmp_path / "mine.py").write_text("import torch, beside\ndef make(): return torch.nn.Linear(2, beside.WIDTH)\n")
    (tmp_path / "broken.py").write_text("def make(: pass\n")
    (tmp_path / "lacking.py").write_text("import nothing_of_this_name\n")
    assert network_of(f"{tmp_path}/mine.py:make").out_features == 3 and network_of("mine:make").out_features == 3
    assert network_of(f"{FILE}:Mel", {"width": 8}, 5).dense.in_features == 8
    assert network_of(f"{FILE}:ready").training is False
    for name, message in {
        "broken:make": r"cannot be imported: .* in .*broken.py:1", "lacking:make": "no module nothing_of_this_name",
        "nowhere:make": "no module nowhere",
    }.items():  # fmt: skip
        with pytest.raises(Mistake, match=message):
            network_of(name)
