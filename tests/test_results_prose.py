"""What README and RESULTS.md say in words is what the runs gave: `results/noted.csv`."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from results import rows
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def noted() -> pd.DataFrame:
    return pd.read_csv(rows.HERE / "noted.csv")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """The texts, without breaks of lines."""
    return {name: " ".join((ROOT / name).read_text(encoding="utf-8").split()) for name in ("README.md", "RESULTS.md")}


def accuracy(noted: pd.DataFrame, row: str) -> pd.Series:
    """Accuracy of each fold in percent, the mean over seeds."""
    own = noted[(noted["row"] == row) & (noted["figure"] == "test/accuracy")]
    return 100 * own.groupby("fold")["value"].mean()


def test_the_table_of_readme_has_the_means_of_all_folds(noted, said):
    for row, label in (
        ("alexnet-digit", ""),
        ("ds-cnn-digit", "0.1 million"),
        ("alexnet-sex", ""),
        ("audionet-sex", "three seeds"),
    ):
        folds = accuracy(noted, row)
        assert f"{folds.mean():.2f} ± {folds.std():.2f}" in said["README.md"], row
        assert len(folds) == (5 if row.endswith("digit") else 4) and label in said["README.md"]


def test_the_order_of_the_networks(noted, said):
    """Student's interval over the folds' differences."""
    differences = accuracy(noted, "alexnet-sex") - accuracy(noted, "audionet-sex")
    error = differences.std() / np.sqrt(len(differences)) * t.ppf(0.975, len(differences) - 1)
    low, high = differences.mean() - error, differences.mean() + error
    text = said["RESULTS.md"]
    assert f"({differences.mean():.1f} points, 95 % interval over folds −{-low:.1f} to {high:.1f})" in text
    assert low < 0 < high  # so that it is not shown


def test_the_order_of_removal(noted, said):
    own = noted[noted["row"] == "alexnet-digit-removal"].set_index("figure")
    at = {order: 100 * own.loc[f"lrp_epsilon/{order}/0.01", "value"] for order in ("relevance", "amplitude", "random")}
    assert (
        f"1 % of the bins leave {at['relevance']:.1f} % accuracy, by amplitude {at['amplitude']:.1f}, at random"
        f" {at['random']:.1f}" in said["RESULTS.md"]
    )
    ahead = 100 * own.loc["lrp_epsilon/perturbation/area/amplitude_minus_relevance", ["value", "low", "high"]]
    assert "{:.1f} points below amplitude's in the mean, {:.1f} to {:.1f}".format(*ahead) in said["RESULTS.md"]
    behind = -100 * own.loc["lrp_epsilon_plus/perturbation/area/amplitude_minus_relevance", ["value", "high", "low"]]
    assert "(amplitude's lies {:.1f} below relevance's, {:.1f} to {:.1f})".format(*behind) in said["RESULTS.md"]
    for composite in ("lrp_epsilon", "lrp_epsilon_plus"):
        assert own.loc[f"{composite}/perturbation/area/random_minus_relevance", "low"] > 0  # random is last
        assert (
            own.loc[f"{composite}/perturbation/area/random", "value"]
            > own.loc[f"{composite}/perturbation/area/amplitude", "value"]
        )


def test_seeds(noted, said):
    fold = noted[(noted["row"] == "audionet-sex") & (noted["fold"] == 3)].sort_values("seed")["value"]
    assert "fold 3, which has {:.1f}, {:.1f} and {:.1f} by seeds 0, 1 and 2".format(*(100 * fold)) in said["RESULTS.md"]
