"""Trainings that start from weights, freeze parts, or fine-tune networks of Hugging Face."""

import json
import logging
import shutil
import sys

import pytest
import torch
from safetensors.torch import save_file

from auscult.checkpoint.checkpoint import KEY, classifier_of, model_of, open_checkpoint
from auscult.mistake import Mistake
from auscult.modules.networks.m5 import M5
from auscult.pretrained import hub
from auscult.pretrained.hugging_face import described, start_from_hub
from auscult.pretrained.starting import start
from tests.conftest import TINY
from tests.pretrained.test_hugging_face import RATE, SMALL, clips, extracted, saved

QUICK = ["clips=1", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=1", "attribution=attnlrp"]
OF_M5 = ["model=m5", "model.network.width=16", "task=sex", *TINY]


def hub_config(name, **clip):
    network = {"_target_": "auscult.modules.networks.hugging_face.HuggingFace", "config": None}
    model = {"name": str(name), "weights": f"hf:{name}", "network": network, "front_end": {}}
    return {"model": model, "data": {"clip": {"sample_rate": RATE, "seconds": 0.5, **clip}}}


def network_for(config, classes):
    from auscult.parts import build_part

    return build_part("model.network", described(config)["model"]["network"], classes=classes)


def test_a_network_starts_from_a_file_but_for_its_head(tmp_path, caplog):
    trained = M5(3, width=8)
    save_file({f"model.{name}": value for name, value in trained.state_dict().items()}, tmp_path / "w.safetensors")
    network = M5(5, width=8)
    drawn = network.dense.weight.clone()
    with caplog.at_level(logging.WARNING):
        start(network, str(tmp_path / "w.safetensors"))
    held, total = trained.state_dict(), len(network.state_dict())
    assert f"2 of {total} tensors have another shape and start anew: dense.weight, dense.bias." in caplog.text
    assert torch.equal(network.dense.weight, drawn)
    for name, value in network.state_dict().items():
        assert name.startswith("dense") or torch.equal(value, held[name]), name
    save_file({"other.weight": torch.zeros(3, 3)}, tmp_path / "o.safetensors")
    with pytest.raises(Mistake, match="are of another network: none of its weights") as caught:
        start(network, str(tmp_path / "o.safetensors"))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_run_starts_from_a_checkpoint_freezes_resumes_without_it_and_is_explained(train_here, explain_here, tmp_path):
    assert train_here(*OF_M5, "hydra.run.dir=first") == ""
    best = tmp_path / "first/checkpoints/best.ckpt"
    options = [
        f"model.weights={tmp_path / 'first'}",
        "model.freeze=[layers]",
        "optimizer.parts={dense: 0.5}",
        "keep_last=true",
    ]
    other = [*OF_M5, "task=digit", *options, "optimizer=audio_lrp", "data.batch_size=8", "hydra.run.dir=second"]
    assert train_here(*other, "trainer.max_epochs=1") == ""
    first = classifier_of(open_checkpoint(best)).network.state_dict()
    best.unlink()
    last = tmp_path / "second/checkpoints/last.ckpt"
    assert train_here(f"ckpt_path={last}", "trainer.max_epochs=2") == ""
    opened = open_checkpoint(last)
    assert opened["epoch"] == 1 and opened[KEY]["config"]["model"]["freeze"] == ["layers"]
    assert [group["lr"] for group in opened["optimizer_states"][0]["param_groups"]] == [5e-5]
    second = classifier_of(opened).network.state_dict()
    for name, value in second.items():
        same = value.shape == first[name].shape and torch.equal(value, first[name])
        assert same == name.startswith("layers"), name
    assert explain_here(f"checkpoint={last.with_name('best.ckpt')}", "hydra.run.dir=seen", *QUICK[:3]) == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["model.weights=nowhere.pt"], "model.weights=nowhere.pt is no file"),
        (["model.weights=hf:some/thing"], "weights of Hugging Face are for model=hf"),
        (["model.freeze=[layer]"], "model.freeze: the network has no part layer that learns; choose of layers"),
        (["model.freeze=layers"], "say model.freeze=[encoder]"),
        (["model.freeze=[layers,dense]"], "model.freeze=[layers,dense] leaves nothing that learns"),
        (["optimizer.parts={layers: 0}"], "gives no factors above 0"),
        (["optimizer.parts={dens: 2}"], "optimizer.parts: the network has no part dens that learns; choose of dense"),
        (["model.name=x"], "model.name is only a label"),
        (["model=hf"], "model.name has no value"),
        (["model=hf", "model.name=./nowhere"], "model.name=./nowhere: there is no such folder"),
        (["model=hf", "model.name=some/thing"], "model.name=some/thing is no folder here, and the hub cannot be"),
    ],
)
def test_mistakes_in_one_sentence(train_here, monkeypatch, options, says):
    monkeypatch.setattr(hub, "is_reachable", lambda: False)
    said = train_here("model=m5", *TINY, *options)
    assert says in said and "\n" not in said


@pytest.mark.parametrize("name", ["wav2vec2", "ast"])
def test_a_network_of_hugging_face_starts_as_it_was_trained(tmp_path, name):
    model, extractor = saved(tmp_path, name)
    config = hub_config(tmp_path)
    network = network_for(config, classes=4)
    assert network.training
    start(network, config["model"]["weights"])
    from auscult.parts import build_part

    front_end = build_part("model.front_end", described(config)["model"]["front_end"])
    with torch.no_grad():
        expected = model(extracted(extractor, clips())).logits
        assert torch.allclose(network.eval()(front_end(clips())), expected, atol=1e-5)


def test_a_base_model_gets_a_head_of_the_tasks_classes(tmp_path, caplog):
    import transformers as hf

    base = hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SMALL))
    base.save_pretrained(tmp_path)
    hf.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    network = network_for(hub_config(tmp_path), classes=7)
    start_from_hub(network, f"hf:{tmp_path}")
    assert "are not there and start anew: projector.weight, projector.bias, cl" in caplog.text
    with torch.no_grad():
        expected = base.eval()(clips()[:, 0]).last_hidden_state
        assert torch.allclose(network.eval().model.wav2vec2(clips()[:, 0]).last_hidden_state, expected, atol=1e-6)
    assert network(clips()).shape == (3, 7)


@pytest.mark.slow
def test_a_network_of_hugging_face_trains_and_is_explained_without_its_folder(train_here, explain_here, tmp_path):
    saved(tmp_path / "model", "wav2vec2")
    name = ["model=hf", "model.name=model", "model.freeze=[model.wav2vec2.feature_extractor]"]
    short = ["data.clip.seconds=0.2"]  # nine frames: fewer than a mask of the library's has
    assert train_here(*name, *short, "task=sex", *TINY, "hydra.run.dir=run", "keep_last=true") == ""
    before = network_for(hub_config("model"), classes=2)
    start(before, "hf:model")
    shutil.rmtree(tmp_path / "model")
    best = tmp_path / "run/checkpoints/best.ckpt"
    opened = open_checkpoint(best)
    config = opened[KEY]["config"]
    assert config["model"]["name"] == "model" and config["data"]["clip"]["sample_rate"] == RATE
    after = model_of(opened).network.state_dict()
    for each, value in before.state_dict().items():
        if each.startswith("model.wav2vec2.feature_extractor"):
            assert torch.equal(after[each], value), each
    assert explain_here(f"checkpoint={best}", "hydra.run.dir=seen", *QUICK) == ""
    assert json.loads((tmp_path / "seen/metrics.json").read_text())["clips/explained"] > 0
    assert train_here(f"ckpt_path={best.with_name('last.ckpt')}") == ""


def test_a_folder_without_weights_trains_from_the_start(tmp_path, caplog):
    import transformers as hf

    hf.HubertConfig(**SMALL).save_pretrained(tmp_path)
    hf.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO):
        assert described(hub_config(tmp_path))["model"]["weights"] is None
    assert "the folder has no weights, and the network is trained from the start" in caplog.text


def test_folders_and_clips_that_do_not_suit(tmp_path, monkeypatch):
    saved(tmp_path, "ast")

    def message(**clip) -> str:
        with pytest.raises(Mistake) as caught:
            described(hub_config(tmp_path, **clip))
        return str(caught.value)

    assert message(sample_rate=8000).endswith("was made for 16000 Hz; say data.clip.sample_rate=16000.")
    assert message(seconds=1.0).endswith("sees 0.655 s at most; say data.clip.seconds=0.655 or fewer.")
    (tmp_path / "config.json").rename(tmp_path / "other.json")
    assert "has no config.json" in message()
    (tmp_path / "other.json").rename(tmp_path / "config.json")
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "needs transformers: python -m pip install" in message()


def test_a_checkpoint_brings_no_code_or_place_to_load_from():
    from auscult.modules.networks.hugging_face import HuggingFace

    odd = {"attn_implementation": "some/kernel", "auto_map": {"AutoConfig": "mine.Config"}, "id2label": {"0": "x"}}
    config = HuggingFace(3, {"model_type": "wav2vec2", **SMALL, **odd}).model.config
    assert config.num_labels == 3 and not hasattr(config, "auto_map") and config._attn_implementation != "some/kernel"
    for kind in ("mine", "bert", None):
        with pytest.raises(Mistake, match=r"model\.network\.config\.model_type"):
            HuggingFace(3, {"model_type": kind})
