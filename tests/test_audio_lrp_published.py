"""`experiment=audio_lrp_published`: input, network, recipe, split and explanations of Audio-LRP, and its leak said."""

import json
import logging
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch import nn

from auscult.build import build_named
from auscult.checkpoint.checkpoint import classifier_of, open_checkpoint
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.division import Division
from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.modules.colours import Colours
from auscult.modules.networks.melcnn import MelCNN
from auscult.modules.picture import ConstantQPicture
from auscult.program import config
from auscult.program.conf import CONF
from auscult.run.recipe import departures
from tests.conftest import SHARED
from tests.program.test_config import composed

TABLE = SHARED / "cases/tables/UrbanSound8K.csv"
EXPERIMENT = "experiment=audio_lrp_published"
SOURCES, EXCERPTS = 10, 6  # of each class


def attribution(name: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return config.plain(compose("explain", [f"attribution={name}", "checkpoint=x"]).attribution)


def urban(root: Path, random: np.random.Generator) -> Path:
    """Ten sources of dogs and ten of rain, six excerpts each, in UrbanSound8K's layout."""
    rows = ["slice_file_name,fsID,start,end,fold,class"]
    for source in range(2 * SOURCES):
        for take in range(EXCERPTS):
            fold, label = source % 10 + 1, ("dog", "rain")[source // SOURCES]
            name = f"{source}-{source // SOURCES}-0-{take}.wav"
            (root / f"audio/fold{fold}").mkdir(parents=True, exist_ok=True)
            soundfile.write(root / f"audio/fold{fold}" / name, 0.1 * random.standard_normal(4000), 8000)
            rows.append(f"{name},{source},0,0.5,{fold},{label}")
    (root / "metadata").mkdir()
    (root / "metadata/UrbanSound8K.csv").write_text("\n".join(rows) + "\n")
    return root


def test_the_parts_are_the_published_ones():
    checked = config.check(composed(EXPERIMENT))
    classifier = Classifier.from_config(checked, [str(number) for number in range(10)])
    assert isinstance(classifier.front_end, ConstantQPicture)
    network = classifier.network
    assert sum(weight.numel() for weight in network.parameters()) == 1_958_730
    assert network.layers.conv1.weight.shape == (32, 3, 3, 3)
    for layer in (network.layers.conv4, network.layers.fc1):  # Glorot's: uniform up to sqrt(6 / (in + out))
        inputs, outputs = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        most = (6 / (inputs + outputs)) ** 0.5
        assert 0.99 * most < layer.weight.abs().max() <= most and not layer.bias.any()
        assert layer.weight.std().item() == pytest.approx(most / 3**0.5, rel=0.02)
    optimizer, schedule = classifier.optimization(steps=1000)
    assert type(optimizer) is torch.optim.Adam
    for _ in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
        optimizer.step()
        schedule.step()
    assert (checked["data"]["batch_size"], checked["trainer"]["max_epochs"]) == (32, 30)
    assert departures(checked) == [] and checked["weights"] == "last" and checked["augmentation"]["shift"] == 0
    assert checked["explain_by"] == ["audio_lrp_epsilon", "audio_lrp_flat"]


def test_a_fifth_is_drawn_at_random_and_the_leak_is_said(tmp_path, cache_dir, caplog):
    caplog.set_level(logging.WARNING)
    root = urban(tmp_path, np.random.default_rng(0))
    module = AudioDataModule.from_config(
        config.check(composed(EXPERIMENT, f"data.root={root}", f"data.cache_dir={cache_dir}"))
    )
    module.setup()
    train, validation, test = (set(part.tolist()) for part in module.split)
    assert test == validation and not train & test and len(train | test) == 2 * SOURCES * EXCERPTS
    assert len(test) == 24 and {label: sum(module.clips[c].labels["class"] == label for c in test)
                                for label in ("dog", "rain")} == {"dog": 12, "rain": 12}  # fmt: skip
    source_of = [clip.path.rsplit("/", 1)[1].split("-")[0] for clip in module.clips]
    shared = [clip for clip in test if source_of[clip] in {source_of[other] for other in train}]
    assert len(shared) > 20  # by chance, all six of a source are tested once in 15 000
    count = f"Of 24 test clips, {len(shared)} ({100 * len(shared) / 24:.0f} %) share their source with training clips"
    assert count in caplog.text and "clips of one source are in training and in test" in caplog.text
    assert "copies" not in caplog.text  # what is tested and validates is no copy of itself
    again = AudioDataModule.from_config(
        config.check(composed(EXPERIMENT, f"data.root={root}", f"data.cache_dir={cache_dir}")), module.speakers()
    )
    again.setup()  # as a checkpoint divides them
    assert [part.tolist() for part in again.split] == [part.tolist() for part in module.split]

    caplog.clear()
    folds = AudioDataModule.from_config(
        config.check(composed("data=urbansound8k", "task=sound", f"data.root={root}", f"data.cache_dir={cache_dir}"))
    )
    folds.setup()  # the default: no source on two sides
    parts = [{source_of[clip] for clip in part} for part in folds.split]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert "both sides" not in caplog.text


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not TABLE.exists(), reason="needs the table of UrbanSound8K in $AUSCULT_SHARED")
def test_of_urbansound8k_nineteen_in_twenty_are_known(tmp_path):
    """The share that conf/experiment/audio_lrp_published.yaml names, and what the first fifth of the table would be."""
    (tmp_path / "metadata").mkdir()
    (tmp_path / "audio/fold5").mkdir(parents=True)
    (tmp_path / "audio/fold5/100032-3-0-0.wav").touch()  # clips without a recording are clips to a division
    shutil.copy(TABLE, tmp_path / "metadata")
    checked = config.check(composed(EXPERIMENT, f"data.root={tmp_path}"))
    division = Division.from_config(checked)
    trained = {division.clips[clip].labels["source"] for clip in division.split.train}
    tested = [division.clips[clip].labels["source"] for clip in division.split.test]
    assert len(tested) / 8732 == pytest.approx(0.2, abs=0.001)
    assert np.mean([source in trained for source in tested]) == pytest.approx(0.96, abs=0.01)
    sources = [row.split(",")[1] for row in TABLE.read_text().splitlines()[1:]]
    first, rest = sources[: len(sources) // 5], set(sources[len(sources) // 5 :])
    assert np.mean([source in rest for source in first]) < 0.02  # of Keras's validation_split


@pytest.mark.parametrize("name", ["audio_lrp_epsilon", "audio_lrp_flat", "lrp_epsilon_plus"])
def test_relevance_of_a_bin_is_that_of_its_colours_together(name):
    torch.manual_seed(0)
    coloured, plain = MelCNN(4, channels=3, colours="magma").eval(), MelCNN(4, channels=3).eval()
    assert not any("table" in weight for weight in coloured.state_dict())
    plain.load_state_dict(coloured.state_dict())
    for network in (coloured, plain):
        for layer in network.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.bias.data.fill_(0.05)
    level, target = torch.rand(2, 1, 64, 64), torch.tensor([1, 3])
    picture = Colours("magma")(level)
    torch.testing.assert_close(coloured(level), plain(picture))
    found, expected = (build_named(attribution(name), "attribution")(*asked) for asked in
                       ((coloured, level, target), (plain, picture, target)))  # fmt: skip
    assert found.shape == level.shape
    torch.testing.assert_close(found, expected.sum(1, keepdim=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "epsilon"), [("audio_lrp_epsilon", 1e-7), ("audio_lrp_flat", 0.1)])
def test_epsilon_and_biases_are_the_published_ones(name, epsilon):
    """Of dense layers: R_i = z x_i w_i / (z + epsilon sign z), where z has its bias."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).double().eval()
    weight, bias = torch.tensor([[1.0, 2.0, -0.5], [0.3, 0.1, -2.0]]).double(), torch.tensor([0.7, -0.4]).double()
    network[1].weight.data, network[1].bias.data = torch.eye(3).double(), torch.zeros(3).double()
    network[3].weight.data, network[3].bias.data = weight, bias
    x = torch.tensor([[0.5, 1.5, 2.0]]).double()
    for target in (0, 1):
        z = (weight[target] @ x[0] + bias[target]).item()
        relevance = x[0] * weight[target] / (z + epsilon * np.sign(z)) * z
        spread = relevance.sum().expand(3) / 3  # flat: each output of the first layer over all three inputs
        relevance = spread if name == "audio_lrp_flat" else relevance * x[0] / (x[0] + epsilon)
        found = build_named(attribution(name), "attribution")(network, x, torch.tensor([target]))
        torch.testing.assert_close(found[0], relevance, rtol=1e-5, atol=1e-9)


def test_colours_need_three_channels_and_are_a_layer_with_a_rule():
    with pytest.raises(
        Mistake, match=r"model.network.colours=magma makes 3 channels, not 1; say model.network.channels=3"
    ):
        MelCNN(10, colours="magma")
    level, relevance = torch.rand(2, 1, 4, 4), torch.randn(2, 3, 4, 4)
    found = Colours("magma").relevance_of_input(level, relevance)
    torch.testing.assert_close(found, relevance.sum(1, keepdim=True))
    with pytest.raises(Mistake, match=r"data.random_split=maybe is neither true nor false"):
        config.check(composed(EXPERIMENT, "data.random_split=maybe"))


@pytest.mark.slow
def test_it_runs_and_explains(train_here, tmp_path):
    root = urban(tmp_path, np.random.default_rng(0))
    short = ["trainer.max_epochs=1", "trainer.limit_test_batches=1.0", "hydra.run.dir=run"]
    assert train_here(EXPERIMENT, f"data.root={root}", *short) == ""
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["val/accuracy"] == metrics["test/accuracy"]
    assert metrics["clips/train"] == 96 and metrics["clips/test"] == metrics["clips/validation"] == 24
    log = (tmp_path / "run/train.log").read_text()
    assert "optimizer=audio_lrp: as published" in log and "clips of one source are in training and in test" in log
    for name in ("audio_lrp_epsilon", "audio_lrp_flat"):
        assert (tmp_path / f"run/explanation/{name}/report.html").exists()
        with h5py.File(tmp_path / f"run/explanation/{name}/relevance.h5") as file:
            assert file["relevance"].shape == (24, 1, 64, 64)
    opened = open_checkpoint(tmp_path / "run/checkpoints/best.ckpt")
    assert isinstance(classifier_of(opened).network.layers.colours, Colours)
