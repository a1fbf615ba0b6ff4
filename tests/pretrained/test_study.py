"""A study of a network that `train.py` did not make: `serve.py page=study network=… input=…`."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fastapi.testclient import TestClient
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file, save_file

from auscult.mistake import Mistake
from auscult.program.conf import CONF
from auscult.serve.options import check
from auscult.serve.study import page
from auscult.study import analysis
from tests.pretrained import networks
from tests.pretrained.networks import RATE

pytestmark = pytest.mark.slow
CLASSES = ["low", "high", "other"]
STUDY = ["page=study", "study.name=pilot", "study.clips=4", "study.training=2", "study.attention=1", "port=0",
         "study.conditions=[both/gradient_x_input,none]", f"network={networks.__file__}:Mel", f"sample_rate={RATE}",
         "weights=best.safetensors", "classes=[low,high,other]"]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, hertz in (("low", 300), ("high", 3000)):
        (tmp_path / "calls" / name).mkdir(parents=True)
        for take in range(4):
            tone = 0.3 * np.sin(2 * np.pi * (hertz + 50 * take) * np.arange(6000) / RATE)
            soundfile.write(tmp_path / f"calls/{name}/{take}.wav", tone, RATE)
    torch.manual_seed(0)
    save_file(networks.Mel(3).state_dict(), tmp_path / "best.safetensors")
    return tmp_path


def served(*options: str) -> TestClient:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = check(compose("serve", [*STUDY, *options]))
        return TestClient(page(config), base_url="http://127.0.0.1:8000")


def predictions(place: Path) -> dict[str, str]:
    """What the network says of each recording, by PyTorch alone."""
    network = networks.Mel(3).eval()
    network.load_state_dict(load_file(place / "best.safetensors"))
    said = {}
    for path in sorted(place.glob("calls/*/*.wav")):
        waveform = torch.tensor(soundfile.read(path, dtype="float32")[0])[None, None]
        said[str(path.relative_to(place / "calls"))] = CLASSES[int(network(waveform).argmax())]
    return said


@pytest.mark.parametrize("labels", [[], ["data.pattern='(?P<label>\\w+)/'"]], ids=["no labels", "labels"])
def test_people_judge_it(place, labels):
    visitor = served("input=calls", *labels)
    held = json.loads((place / "studies/pilot/study.json").read_text())
    said = predictions(place)
    assert held["classes"] == CLASSES and len(held["chosen"]) == 6
    for clip in held["chosen"]:
        assert clip["prediction"] == said[clip["path"]] and clip["checkpoint"].endswith("networks.py:Mel")
        assert clip["label"] == (clip["path"].partition("/")[0] if labels else "")
    link = visitor.post("/participants").json()["link"]
    for _ in range(7):
        trial = visitor.get(f"{link}/trial").json()
        rating = None if trial["parts"] == ["signal"] else 4
        answer = {"trial": trial["number"], "guess": trial.get("wanted") or "low", "rating": rating, "seconds": 3.0}
        assert visitor.post(f"{link}/answer", json=answer).status_code == 200
    answers = analysis.read(place / "studies/pilot").table
    assert len(answers) == 7 and (answers["correct"] == (answers["guess"] == answers["prediction"])).all()
    assert set(answers["clips"]) <= ({"right", "wrong"} if labels else {"all"})

    assert served("input=calls", *labels)  # once more: the same study
    save_file({name: value + 0.1 for name, value in networks.Mel(3).state_dict().items()}, place / "best.safetensors")
    with pytest.raises(Mistake, match="holds a study with other checkpoints"):
        served("input=calls", *labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "input has no value; network=… has no corpus of its own"),
        (["input=calls", "checkpoint_2=best.ckpt"], "checkpoint_2=… is a second one beside checkpoint=…"),
        (["input=calls", "kind=tags"], "answers with tags; choose one that tells classes apart"),
        (["input=calls", "study.primary.clips=right"], "have no labels; give them some by data.pattern or data.csv"),
        (["input=nowhere"], "input=.*nowhere does not exist"),
        (["data.pattern=x"], "input has no value"),
    ],
)
def test_mistakes(place, options, message):
    with pytest.raises(Mistake, match=message):
        served(*options)
    assert not (place / "studies/pilot").exists()
