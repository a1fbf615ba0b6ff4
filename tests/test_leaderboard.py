"""`python benchmark.py`, as a user runs it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

Here = Callable[..., str]
Trained = Callable[[str, str], Path]
QUICK = ["limit=6", "clips=0", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=0", "hydra.run.dir=run"]


class Mine:
    """A method of one's own: what is loud."""

    def __call__(self, network, input, target):
        return input**2


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
        (["attribution=magic"], "attribution=magic is unknown; choose one of amplitude, "),
        (["attributions=[random,magic]"], "attributions has magic, which is unknown; choose from amplitude, "),
        (["domains=[input,colour]"], "domains has colour, which is unknown; choose from frequency, input, time, "),
        (["attributions=[]"], "attributions is empty; name at least one."),
        (["checkpoint=nothing.ckpt"], "checkpoint=nothing.ckpt is not a file"),
        (
            ["target=child", "attributions=random"],
            "no attribution could be asked; the first said: random in the domain",
        ),
    ],
)
def test_mistakes(benchmark_here: Here, trained: Trained, options: list[str], message: str) -> None:
    said = benchmark_here(f"checkpoint={trained('audionet', 'sex')}", *QUICK, *options)
    assert said.startswith(message) and "\n" not in said
