"""`python benchmark.py`, as a user runs it."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from auscult.explain.options import target_of
from auscult.leaderboard.compare import once

Here = Callable[..., str]
Trained = Callable[[str, str], Path]
QUICK = [
    "limit=4", "clips=0", "checks=0", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=0",
    "perturbation.energies=null", "hydra.run.dir=run",
]  # fmt: skip


class Mine:
    """A method of one's own: what is loud."""

    def __call__(self, network, input, target):
        return input**2


@pytest.mark.slow
def test_all_attributions_join_one_table(benchmark_here: Here, trained: Trained, tmp_path: Path) -> None:
    chosen = ["attributions=[gradient,gradient_x_input,random]", "domains=[input,frequency]"]
    assert benchmark_here(f"checkpoint={trained('audionet', 'sex')}", *chosen, *QUICK) == ""
    run = tmp_path / "run"
    table = pd.read_csv(run / "leaderboard.csv", keep_default_na=False)
    asked = {("input", "gradient"), ("input", "gradient_x_input"), ("input", "random")}
    asked |= {("frequency", "gradient_x_input"), ("frequency", "random")}
    assert set(zip(table["domain"], table["attribution"], strict=True)) == asked
    per_measure = table[table["rank"] == "best"].groupby(["domain", "measure"]).size()
    assert (per_measure == 1).all() and {"deletion/accuracy", "complexity/gini"} <= set(table["measure"])
    for domain, attribution in asked:
        own = run / domain / attribution
        curves = pd.read_csv(own / "curves.csv").query("order == 'relevance'")
        area = table.query(
            f"domain == '{domain}' and attribution == '{attribution}' and measure == 'deletion/accuracy'"
        )
        assert area["mean"].item() == pytest.approx(curves["accuracy"].mean(), abs=1e-5)  # a trapezoid of two points
        assert (own / "report.html").exists()
    left_out = "gradient in the domain frequency: Gradient says how the logit changes"
    page = (run / "leaderboard.html").read_text()
    assert left_out in page and left_out in (run / "leaderboard.md").read_text()
    assert all(f'href="{domain}/{attribution}/report.html"' in page for domain, attribution in asked)


@pytest.mark.slow
def test_a_method_of_ones_own_joins(benchmark_here: Here, trained: Trained, tmp_path: Path) -> None:
    """One class and one YAML."""
    (tmp_path / "conf/attribution").mkdir(parents=True)
    mine = {"name": "mine", "_target_": f"{__name__}.Mine"}
    (tmp_path / "conf/attribution/mine.yaml").write_text(yaml.safe_dump(mine))
    options = [f"checkpoint={trained('audionet', 'sex')}", "attributions=[random]", "attribution=mine"]
    assert benchmark_here("--config-dir", str(tmp_path / "conf"), *options, *QUICK) == ""
    table = pd.read_csv(tmp_path / "run/leaderboard.csv")
    assert set(table["attribution"]) == {"random", "mine"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["attribution=gradient,random"],
            "is one more beside attributions; say",
        ),
        (["attribution=magic"], "attribution=magic is unknown; choose one of amplitude, "),
        (["attributions=[random,magic]"], "attributions has magic, which is unknown; choose from amplitude, "),
        (["domains=[input,colour]"], "domains has colour, which is unknown; choose from frequency, input, time, "),
        (["attributions=[]"], "attributions is empty; name at least one."),
        (["checks=-1"], "checks=-1 is not a whole number"),
        (["control=nothing.ckpt"], "control=nothing.ckpt is not a file"),
        (["checkpoint=nothing.ckpt"], "checkpoint=nothing.ckpt is not a file"),
        (["target=child"], "target=child is unknown; choose predicted, true, or one of male, female."),
    ],
)
def test_mistakes(benchmark_here: Here, trained: Trained, options: list[str], message: str) -> None:
    said = benchmark_here(f"checkpoint={trained('audionet', 'sex')}", *QUICK, *options)
    assert message in said and "\n" not in said


def test_a_multirun_with_a_failed_job_has_failed(benchmark_here: Here, trained: Trained) -> None:
    said = benchmark_here("-m", f"checkpoint={trained('audionet', 'sex')}", "limit=0,-1", "hydra.sweep.dir=sweep")
    assert said.startswith("2 jobs failed; error.txt in their folders below ")


def test_true_is_a_target() -> None:
    assert [target_of({"target": target}) for target in (True, "true", "male", 3)] == ["true", "true", "male", "3"]


@pytest.mark.slow
def test_all_that_is_asked_of_an_attribution(benchmark_here: Here, trained: Trained, tmp_path: Path) -> None:
    """Checks, curves over energy, a control network, one clip side by side, and W&B."""
    checkpoint = trained("audionet", "sex")
    options = ["attributions=[gradient_x_input,amplitude]", "domains=[input,frequency]", "logger=wandb", "checks=2"]
    quick = [option for option in QUICK if not option.startswith(("clips", "checks", "perturbation.energies"))]
    quick += ["clips=1", "perturbation.energies=[0,0.5,1]"]
    same_network = torch.load(checkpoint, weights_only=True)
    torch.save(same_network | {"epoch": 99}, tmp_path / "other.ckpt")
    assert benchmark_here(f"checkpoint={checkpoint}", "control=other.ckpt", *options, *quick) == ""
    table = pd.read_csv(tmp_path / "run/leaderboard.csv", keep_default_na=False)
    means = table.set_index(["domain", "attribution", "measure"])["mean"]
    ranks = table.set_index(["domain", "attribution", "measure"])["rank"]
    for domain in ("input", "frequency"):
        assert means[domain, "amplitude", "sanity/all_layers"] == pytest.approx(1)
        assert ranks[domain, "amplitude", "sanity/all_layers"] == "fails"
        assert ranks[domain, "gradient_x_input", "sanity/all_layers"] == ""
        for attribution in ("amplitude", "gradient_x_input"):
            assert means[domain, attribution, "control/similarity"] == pytest.approx(1)  # it is the same network
            assert means[domain, attribution, "robustness/gain"] == pytest.approx(1, abs=0.02)  # which knows no gain
            assert means[domain, attribution, "cost/megabytes"] > 0
            for name in ("energy_deletion", "energy_insertion"):
                assert (
                    means[domain, attribution, f"across/{name}"] == means[domain, attribution, f"faithfulness/{name}"]
                )
            with h5py.File(tmp_path / f"run/{domain}/{attribution}/relevance.h5") as file:
                assert file["cascade"].shape == (4, 9)
                assert np.isfinite(file["cascade"][:]).all(1).sum() == 2
                deletion, insertion = file["energy/deletion"][:], file["energy/insertion"][:]
                np.testing.assert_allclose(deletion[:, 0], insertion[:, -1], atol=1e-3)  # all of the clip
                energies = yaml.safe_load(file.attrs["config"])["perturbation"]["energies"]
                area = np.trapezoid(deletion, energies, axis=1)
                np.testing.assert_allclose(file["faithfulness/energy_deletion"][:], area, rtol=1e-4)
    for name in ("energy_deletion", "energy_insertion"):  # one best of all domains
        assert (table[table["measure"] == f"across/{name}"]["rank"] == "best").sum() == 1
    page = (tmp_path / "run/leaderboard.html").read_text()
    assert page.count("<img ") == 2 * 2 + 4 and page.count("<audio ") == 1 + 2 * 4
    [kept] = (tmp_path / "run").glob("wandb/offline-run-*/files/media/table/leaderboard*.json")
    columns, rows = (json.loads(kept.read_text())[name] for name in ("columns", "data"))
    assert len(rows) == len(table) and set(table.columns) <= set(columns)
    assert list(kept.parents[1].glob("html/page*.html"))


def test_a_checkpoint_is_asked_for(benchmark_here: Here) -> None:
    assert (
        benchmark_here() == "checkpoint has no value; set it with checkpoint=…/checkpoints/best.ckpt, of a run folder."
    )


def test_what_is_noticed_of_the_corpus_is_told_once(caplog):
    log, said = logging.getLogger("auscult.datamodules.source"), set()
    for _ in range(2):
        with once(said):
            log.warning("three recordings cannot be used")
    log.warning("three recordings cannot be used")
    assert caplog.messages == ["three recordings cannot be used"] * 2, "once in the comparison, and again after it"
