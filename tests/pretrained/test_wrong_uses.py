"""Wrong uses of networks of one's own, as people make them: each ends in one sentence that names the option."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from torch import nn

from tests.conftest import run_program
from tests.pretrained import crepe, networks
from tests.pretrained.networks import RATE
from tests.pretrained.test_hugging_face import saved

FILE, CREPE = networks.__file__, crepe.__file__
MEL = [f"network={FILE}:Mel", f"sample_rate={RATE}", "weights=best.safetensors", "classes=labels.txt"]
OWN = [f"sample_rate={RATE}"]


class Code:
    """What no file may bring along."""

    def __reduce__(self):
        return (print, ("it ran",))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Recordings, weights of several kinds, names of classes, and a model of Hugging Face."""
    folder = tmp_path_factory.mktemp("wrong")
    tone = 0.3 * np.sin(np.arange(8000) * 0.2)
    for name in ("calls/low/a.wav", "calls/high/b.wav", "clip.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, tone, RATE)
    (folder / "empty").mkdir()
    (folder / "noise.wav").write_bytes(b"no sound at all" * 100)
    (folder / "labels.txt").write_text("low\nhigh\nother\n")
    (folder / "two.txt").write_text("low\nhigh\n")
    (folder / "twice.txt").write_text("low\nlow\nhigh\n")
    (folder / "ids.json").write_text('{"low": 0, "high": 2, "other": 3}')
    (folder / "table.csv").write_text("number,sound\n0,low\n")
    mel = {name: value.clone() for name, value in networks.Mel(3).state_dict().items()}
    save_file(mel, folder / "best.safetensors")
    save_file({name: value for name, value in mel.items() if "dense" not in name}, folder / "headless.safetensors")
    save_file(
        {name: value.clone() for name, value in networks.Mel(3, 8).state_dict().items()}, folder / "wide.safetensors"
    )
    save_file({"encoder.weight": torch.zeros(3, 3)}, folder / "other.safetensors")
    torch.save(nn.Linear(2, 2), folder / "module.pt")
    torch.save({"state_dict": mel, "hook": Code()}, folder / "code.pt")
    torch.save([1, 2, 3], folder / "list.pt")
    (folder / "broken.pt").write_bytes((folder / "code.pt").read_bytes()[:500])
    (folder / "broken.safetensors").write_bytes(b"\xff" * 100)
    (folder / "faulty.py").write_text("import nothing_that_is_there\n")
    (folder / "wrong.py").write_text("def CNN(:\n")
    saved(folder / "model", "ast")
    shutil.copytree(folder / "model", folder / "no_config", ignore=shutil.ignore_patterns("config.json"))
    shutil.copytree(folder / "model", folder / "no_extractor", ignore=shutil.ignore_patterns("preprocessor*"))
    shutil.copytree(folder / "model", folder / "no_weights", ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


WRONG = [
    # weights
    ([*MEL[:2], "weights=wide.safetensors", "classes=labels.txt"], "tensors of other shapes"),
    ([*MEL[:2], "weights=other.safetensors", "classes=labels.txt"], "weights"),
    ([*MEL[:2], "weights=headless.safetensors", "classes=labels.txt"], "dense"),
    ([*MEL[:2], "weights=module.pt", "classes=labels.txt"], "no file may bring code"),
    ([*MEL[:2], "weights=code.pt", "classes=labels.txt"], "no file may bring code"),
    ([*MEL[:2], "weights=list.pt", "classes=labels.txt"], "no state dict"),
    ([*MEL[:2], "weights=broken.pt", "classes=labels.txt"], "cannot be read"),
    ([*MEL[:2], "weights=broken.safetensors", "classes=labels.txt"], "no whole file of safetensors"),
    ([*MEL[:2], "weights=nowhere.pt", "classes=labels.txt"], "weights=nowhere.pt is no file"),
    ([*MEL[:2], "weights=labels.txt", "classes=labels.txt"], "is none of .safetensors"),
    (["weights=best.safetensors"], "weights=… describes a network that is named by network=…"),
    # classes
    ([*MEL[:3], "classes=two.txt"], "dense"),
    ([*MEL[:3]], "num_classes"),
    ([*MEL[:3], "classes=twice.txt"], "names low 2 times"),
    ([*MEL[:3], "classes=ids.json"], "its numbers are not 0, 1, 2"),
    ([*MEL[:3], "classes=table.csv"], "has none of the columns"),
    ([*MEL[:3], "classes=nowhere.txt"], "is no file"),
    ([f"network={FILE}:Tuple", "output=0", *OWN, "classes=two.txt"], "has 5 outputs and classes=… has 2 names"),
    # the network itself
    ([f"network={FILE}:Nothing", *OWN], "Nothing"),
    ([f"network={FILE}:fails", *OWN], "no such luck"),
    ([f"network={FILE}:number", *OWN], "int"),
    ([f"network={FILE}:constant", *OWN], "constant"),
    (["network=faulty.py:CNN", *OWN], "nothing_that_is_there"),
    (["network=wrong.py:CNN", *OWN], "wrong.py"),
    (["network=nowhere.py:CNN", *OWN], "there is no file"),
    (["network=nobodys_package.nets:CNN", *OWN], "nobodys_package"),
    (["network=best.safetensors", *OWN], "are weights; name the class by network=…"),
    ([f"network={FILE}:Mel", "network_options={depth: 3}", "classes=labels.txt", *OWN], "depth"),
    ([*MEL, "checkpoint=best.ckpt"], "both set"),
    # what it takes
    ([f"network={FILE}:OfOneLength", *OWN], "mind sample_rate and seconds"),
    ([*MEL[:1], "sample_rate=16", *MEL[2:]], "sample_rate=16 is not a whole number of 100 or more"),
    ([*MEL[:1], *MEL[2:]], "sample_rate has no value"),
    ([*MEL, "seconds=0.0001"], "seconds=0.0001 is not a number"),
    ([*MEL, "front_end=spectrum"], "front_end=spectrum is no front end of ours and no module of the network"),
    ([f"network={FILE}:Residue", "front_end=mel", "classes=[a,b,c,d,e]", *OWN], "uses the waveform behind it, too"),
    ([f"network={FILE}:Twice", "front_end=mel", "classes=[a,b,c]", *OWN], "is used 2 times"),
    ([f"network={CREPE}:model", "sample_rate=16000", "frames=[9000,160]"], "are shorter"),
    ([f"network={CREPE}:model", "sample_rate=16000", "frames=1024"], "no window and hop"),
    # what it gives
    ([f"network={FILE}:Tuple", *OWN], "gives 2 tensors"),
    ([f"network={FILE}:Tuple", "output=7", *OWN], "output=0"),
    ([f"network={FILE}:Chance", *OWN], "draw nothing by chance in evaluation"),
    ([f"network={FILE}:Infinite", *OWN], "not finite"),
    ([f"network={FILE}:Scalar", *OWN], "let it give (2, classes)"),
    ([f"network={FILE}:Text", *OWN], "gives a str without tensors"),
    # what is asked
    ([*MEL, "target=bird"], "target=bird is unknown; choose predicted, true, or one of low, high, other."),
    ([*MEL, "target=true"], "target=true needs labels"),
    ([*MEL, "target=low", "against=low"], "target and against both name low"),
    ([*MEL, "target=regression:low", "classes=[low,high,other]", "against=high"], "are of classes"),
    ([*MEL, "target=similarity:nowhere.wav"], "there is no recording"),
    ([*MEL, "stretch=[0,0.1]"], "stretch=… is a part of the frames"),
    ([*MEL, "kind=sets"], "kind=sets is unknown"),
    ([f"network={CREPE}:F0", "target=similarity:clip.wav"], "likeness needs several"),
    # recordings
    ([*MEL, "input=nowhere"], "does not exist; name a recording"),
    ([*MEL, "input=empty"], "holds no recordings"),
    ([*MEL, "input=noise.wav"], "none of the 1 recordings"),
    ([*MEL, "input=null"], "input has no value"),
    ([*MEL, "input=calls", "data.pattern=(?P<name>[^/]+)/", "label=sound"], "'sound'"),
    ([*MEL, "input=calls", "data.csv=nowhere.csv"], "nowhere.csv"),
    # Hugging Face
    (["network=hf:no_config"], "the folder has no config.json"),
    (["network=hf:no_extractor"], "the folder has no preprocessor_config.json"),
    (["network=hf:no_weights"], "no_weights"),
    (["network=model"], "say network=hf:"),
    (["network=hf:model", "sample_rate=8000"], "was made for 16000 Hz"),
    (["network=hf:model", "weights=best.safetensors"], "has its weights in its folder"),
    (["network=hf:model", "classes=two.txt"], "has 4 outputs and classes=… has 2 names"),
    (["network=hf:nobody/nothing-of-this-name"], "nobody/nothing-of-this-name"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("options", "says"), WRONG, ids=[f"{n}-{wrong[1][:30]}" for n, wrong in enumerate(WRONG)])
def test_wrong_uses_end_in_a_sentence(options, says, place, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as on most machines of labs
    given = [] if any(option.startswith("input") for option in options) else ["input=clip.wav"]
    said = run_program("explain", *options, *given, f"hydra.run.dir={tmp_path / 'run'}")
    assert says in said.replace("\n", " ")
    assert said.count("\n") <= 1 and len(said) < 900
    assert "Traceback" not in said + capsys.readouterr().err
    assert not (tmp_path / "run/report.html").exists()
