import inspect
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from auscult.explain.options import check_input
from auscult.mistake import Mistake
from auscult.modules.classifier import OPTIMIZER_OPTIONS
from auscult.program import complaint, config, paths
from auscult.program.conf import CONF, choices_of, owners_of
from auscult.program.overrides import check_ranges


def composed(*overrides: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize(
    "data",
    ["synthetic", "audiomnist", "audiomnist_az", "speech_commands", "esc50", "urbansound8k", "folder", "hf"],
)
@pytest.mark.parametrize("model", ["audionet", "alexnet"])
@pytest.mark.parametrize("optimizer", ["adamw", "paper"])
def test_every_combination_composes_into_plain_containers(data, model, optimizer):
    given = {"folder": ["data.root=clips", "data.pattern=x"], "hf": ["data.name=hf"]}.get(data, [])
    checked = config.check(composed(f"data={data}", f"model={model}", f"optimizer={optimizer}", "task=sex", *given))
    assert OmegaConf.create(yaml.safe_load(yaml.safe_dump(checked))) == checked
    assert checked["data"]["name"] == data and checked["model"]["name"] == model
    assert checked["model"]["network"]["published"] is (optimizer == "paper")


def test_every_yaml_names_arguments_that_its_class_has():
    def check(node: object, own: set[str], path: Path) -> None:
        if not isinstance(node, dict):
            return
        if "_target_" in node:
            known = set(inspect.signature(get_object(node["_target_"])).parameters)
            assert set(node) - {"_target_"} - own <= known, (path, node["_target_"])
        for value in node.values():
            check(value, own, path)

    shared = {"data": {"name", "clip", "epochs", "shift"}, "optimizer": set(OPTIMIZER_OPTIONS)}
    files = [path for path in CONF.glob("*/*.yaml") if path.parent.name in ("data", "model", "optimizer")]
    assert len(files) >= 8
    for path in files:
        check(yaml.safe_load(path.read_text()), shared.get(path.parent.name, set()), path)


def test_trainer_options_are_lightnings():
    options = yaml.safe_load((CONF / "trainer/default.yaml").read_text())
    assert set(options) <= set(inspect.signature(Trainer.__init__).parameters)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model=foo"], "model=foo is unknown; choose one of alexnet, ast, audionet, cnn14, "),
        (["task=sing"], "task=sing is unknown; choose one of age, digit, label, number, sex, sound, tags."),
        (
            ["data=nope"],
            "data=nope is unknown; choose one of audiomnist, audiomnist_az, esc50, folder, hf, speech_commands,"
            " synthetic, urbansound8k.",
        ),
        (["optimizer=sgd"], "optimizer=sgd is unknown; choose one of adamw, audio_lrp, paper."),
        (["fodl=1"], "fodl is not an option (did you mean fold?); --help lists them."),
        (["modle=alexnet"], "modle is not an option (did you mean model?); --help lists them."),
        (["trainer.max_epoch=1"], "trainer.max_epoch is not an option (did you mean trainer.max_epochs?);"),
        (["data=folder", "data.patern=x"], "data.patern is not an option (did you mean data.pattern?);"),
    ],
)
def test_what_hydra_refuses_becomes_one_sentence(overrides, says):
    with pytest.raises(HydraException) as caught:
        composed(*overrides)
    sentence = complaint.sentence(caught.value, overrides)
    assert sentence.startswith(says)
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("fold=-1", "fold=-1 is not a whole number"),
        ("fold=first", "fold=first is not a whole number"),
        ("fold=0.5", "fold=0.5 is not a whole number"),
        ("data.batch_size=0", "data.batch_size=0 is not a whole number of 1 or more."),
        ("optimizer.lr=fast", "optimizer.lr=fast is not a number"),
        ("trainer.max_epochs=ten", "trainer.max_epochs=ten is not a whole number"),
        ("trainer.max_epochs=-1", "trainer.max_epochs=-1 would train for ever"),
        ("label_smoothing=2", "label_smoothing=2 is not a number from 0 to 1"),
        ("augmentation.noise_snr_db=[3]", "augmentation.noise_snr_db=[3] is neither null nor [low, high]"),
        ("augmentation.noise_snr_db=[30,10]", "augmentation.noise_snr_db=[30, 10] is neither"),
        ("task.classes=[yes]", "task.classes="),
        ("missing_fold=ignore", "missing_fold=ignore is neither error nor skip"),
        ("model.network.dropout=true", "model.network.dropout=True is not a number"),
    ],
)
def test_wrong_values_are_named(override, says):
    with pytest.raises(Mistake) as caught:
        config.check(composed(override))
    assert str(caught.value).startswith(says)


def test_a_missing_value_is_named():
    with pytest.raises(Mistake, match=r"data\.root has no value; say data\.root=… to set it"):
        config.check(composed("data=folder"))


def test_tables_of_ones_own_recordings_may_lie_beside_them(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/labels.csv").touch()
    monkeypatch.chdir(tmp_path)
    given = {"input": str(tmp_path / "clips"), "data": {"csv": "labels.csv", "pattern": None, "speakers": None}}
    check_input(given)
    assert given["data"]["csv"] == str(tmp_path / "clips/labels.csv")
    (tmp_path / "labels.csv").touch()
    check_input(given | {"data": (data := {"csv": "labels.csv", "pattern": None, "speakers": None})})
    assert data["csv"] == "labels.csv"
    with pytest.raises(Mistake, match=r"data\.speakers needs labels from data\.pattern or data\.csv"):
        check_input(given | {"data": {"csv": None, "pattern": None, "speakers": "people.csv"}})
    with pytest.raises(Mistake, match="nowhere does not exist"):
        check_input(given | {"input": "nowhere"})


def test_run_folder_of_a_checkpoint(tmp_path):
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    assert paths.run_folder_of(str(checkpoint), "new") == "new"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"PK\x03\x04")
    assert paths.run_folder_of(str(checkpoint), "new") == str(tmp_path / "run")
    assert paths.run_folder_of(None, "new") == "new"


def test_an_option_is_found_in_what_a_file_takes_from_another():
    owners = owners_of("attribution.zero_bias")
    assert owners == [f"attribution={name}" for name in choices_of("attribution") if "lrp" in name]
    assert owners_of("attribution.low") == ["attribution=lrp_box"]


@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        (["optimizer.lr=[1e-3,1e-4]"], True),
        (["trainer.max_epochs=[1,2]"], True),
        (["augmentation.speed=[0.9,1.1]"], False),  # no job could take 0.9
        (["trainer.devices=[0,1]"], False),
        (["model=melcnn", "model.network.dropout=[0.1,0.2]"], True),
        (["model=melcnn", "model.network._target_=mine.Net", "+model.network.kernel=[9,5,3]"], False),
        (["model=melcnn", "model.front_end._target_=mine.FrontEnd", "model.front_end.bands=[32,64]"], False),
        (["model=melcnn", "model.front_end.bands=[32,64]"], True),
    ],
)
def test_lists_for_one_number_are_refused(words, is_refused):
    with pytest.raises(Mistake, match="is a list") if is_refused else nullcontext():
        check_ranges(words, "train")


def test_what_follows_from_other_options_is_not_set():
    config.check(composed("model=audionet", "model.network.samples=8000"))
    own = ["model.front_end._target_=mine.Half", "allow=[mine]"]  # which may halve the length
    config.check_derived(config.plain(composed("model=audionet", "model.network.samples=4000", *own)))
    for option in ("model.network.samples=4000", "optimizer.schedule.total_steps=5"):
        changed = composed("model=audionet", option)
        config.check_values(config.plain(changed))  # a checkpoint of an earlier version may have it
        with pytest.raises(Mistake, match=option.partition("=")[0]):
            config.check(changed)
