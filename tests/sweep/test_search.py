"""The same search as a Hydra sweep and as a W&B sweep."""

import pytest
import wandb
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from auscult.program import config
from tests.conftest import ROOT, TINY
from tests.program.test_config import composed
from tests.run.test_wandb import records

HYDRA = yaml.safe_load((ROOT / "conf/experiment/search.yaml").read_text())["hydra"]["sweeper"]["params"]
SWEEP = yaml.safe_load((ROOT / "conf/wandb_sweep.yaml").read_text())


def test_both_files_describe_the_same_search_over_options_that_exist():
    parser = OverridesParser.create()
    ours = {}
    for name, values in HYDRA.items():
        ours[name] = [float(value) for value in parser.parse_override(f"{name}={values}").value().list]
        for value in ours[name]:
            config.check(composed(f"{name}={value}"))
    assert {name: parameter["values"] for name, parameter in SWEEP["parameters"].items()} == ours
    assert SWEEP["method"] == "grid" and SWEEP["metric"] == {"name": "val/accuracy", "goal": "maximize"}


@pytest.mark.slow
def test_a_run_that_an_agent_starts_belongs_to_the_sweep(train_here, tmp_path, monkeypatch):
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args  # only now: it takes seconds to import

    chosen = {name: {"value": parameter["values"][0]} for name, parameter in SWEEP["parameters"].items()}
    given = create_sweep_command_args({"args": chosen})["args_no_hyphens"]  # as W&B's agent makes them
    start = SWEEP["command"].index("${program}") + 1
    command = [
        word for part in SWEEP["command"][start:] for word in (given if part == "${args_no_hyphens}" else [part])
    ]
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "run1")
    wandb.teardown()  # makes W&B read the environment again
    try:
        assert train_here(*command, *TINY) == ""
    finally:
        monkeypatch.undo()
        wandb.teardown()
    (file,) = (tmp_path / "outputs/run1/wandb").glob("offline-run-*/run-*.wandb")
    (run,) = [record.run for record in records(file) if record.WhichOneof("record_type") == "run"][:1]
    assert (run.run_id, run.sweep_id) == ("run1", "sweep1")
    trained = yaml.safe_load((tmp_path / "outputs/run1/config.yaml").read_text())
    assert trained["optimizer"]["lr"] == chosen["optimizer.lr"]["value"]
