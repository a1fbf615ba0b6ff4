"""Multiruns whose jobs run elsewhere: hydra/launcher=cores, processes, slurm."""

import json

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins

from auscult.program.conf import CONF
from tests.conftest import TINY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "devices"),
    [("cores", []), ("processes", ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"])],
)
def test_jobs_elsewhere_are_summed_up_and_a_failed_one_is_reported(start_training, tmp_path, launcher, devices):
    sweep = start_training("-m", f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep", "fold=0,1,7", "task=sex",
                           "model=melcnn", *TINY, *devices)  # fmt: skip
    said, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 1 and "1 of 3 jobs failed; summary.csv says why." in said
    table = pd.read_csv(tmp_path / "sweep/summary.csv")
    assert table["fold"].tolist() == [0, 1, 7]
    assert table["test/accuracy"].notna().tolist() == table["error"].isna().tolist() == [True, True, False]
    assert table["error"][2].startswith("fold=7 does not exist")
    metrics = json.loads((tmp_path / "sweep/1/metrics.json").read_text())
    assert metrics["test/accuracy"] == table["test/accuracy"][1]
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cores", "processes", "slurm"])
def test_without_the_extra_one_sentence_says_how_to_get_it(train_here, monkeypatch, capsys, preset):
    Plugins.instance()  # finds Hydra's launchers; then they are taken away
    known = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in ("joblib", "submitit_local", "submitit_slurm"):
        monkeypatch.delitem(known, f"{name}.yaml")
    said = train_here("-m", f"hydra/launcher={preset}", "fold=0,1")
    assert said == "hydra/launcher needs an extra that is not installed; pip install '.[cluster]' in the checkout."
    assert train_here("--help") == "" and "cores, processes, slurm" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["cores", "processes", "slurm"])
def test_presets_compose_and_refuse_unknown_options(train_here, preset):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"hydra/launcher={preset}"], return_hydra_config=True)
    assert "Launcher" in cfg.hydra.launcher._target_
    assert "hydra.launcher.patience is not an option" in train_here(
        "-m", f"hydra/launcher={preset}", "hydra.launcher.patience=1"
    )


def test_a_wrong_preset_is_named(train_here):
    said = train_here("-m", "hydra/launcher=cloud")
    assert said == "hydra/launcher=cloud is unknown; choose one of cores, processes, slurm."
