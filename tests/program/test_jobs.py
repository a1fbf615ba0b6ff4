"""Checkpoints of a multirun are looked for before its first job, whatever their names need of Hydra's quoting."""

from contextlib import nullcontext

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from auscult.mistake import Mistake
from auscult.program.conf import CONF
from auscult.program.jobs import check_checkpoints


@pytest.mark.parametrize("name", ["best.ckpt", "epoch\\=3.ckpt", "'a space.ckpt'", "'a=1, b.ckpt'", "${oc.env:HOME}"])
@pytest.mark.parametrize("is_there", [True, False])
def test_names_are_taken_as_hydra_takes_them(tmp_path, monkeypatch, name, is_there):
    monkeypatch.chdir(tmp_path)
    if is_there:
        (tmp_path / name.strip("'").replace("\\", "").replace("${oc.env:HOME}", "x")).write_bytes(b"PK\x03\x04")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        overrides = [f"checkpoint={name}", "target=true,predicted"]
        config = loader.load_configuration("explain", overrides, RunMode.MULTIRUN)
        known = is_there or "$" in name  # what an environment variable will hold is not known yet
        with nullcontext() if known else pytest.raises(Mistake, match="is not a file"):
            check_checkpoints(config)
