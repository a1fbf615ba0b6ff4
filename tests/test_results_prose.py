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


@pytest.mark.parametrize("row, words", [
    ("ds-cnn-digit", "DS-CNN {} points ({} to {})"), ("resnet-digit", "ResNet-18 {} ({} to {})"),
    ("crnn-digit", "CRNN {} ({} to {})"),
    ("m5-digit", "M5 {} ({} to {})"), ("cnn14-digit", "CNN14 {} ({} to {})"),
    ("wav2vec2-digit", "wav2vec 2.0 {} ({} to {})"), ("ast-digit", "AST {} ({} to {})"),
])  # fmt: skip
def test_networks_beside_alexnet(noted, said, row, words):
    """Student's interval over the folds' differences."""
    differences = accuracy(noted, row) - accuracy(noted, "alexnet-digit")
    error = differences.std() / np.sqrt(len(differences)) * t.ppf(0.975, len(differences) - 1)
    values = differences.mean() + np.array([0, -error, error])
    numbers = [f"{value:.1f}".replace("-", "−") for value in values]
    assert len(differences) == 5 and words.format(*numbers) in said["RESULTS.md"]


WAVEFORM = ("m5", "wav2vec2")
DEFAULT = {"ast": "attnlrp", "wav2vec2": "attnlrp"}  # others: lrp_epsilon_plus


def test_what_lies_in_the_hum(noted, said):
    """Of the default, over what relevance without a place has there."""
    own = noted[noted["figure"].str.endswith("localisation/mass/confound")].set_index(["row", "figure"])["value"]
    chance = noted.set_index(["row", "figure"])["value"][("hum-m5", "frequency/random/localisation/chance/confound")]
    times = {}
    for name in ("ds-cnn", "m5", "resnet", "cnn14", "crnn", "ast", "wav2vec2"):
        for attribution in (DEFAULT.get(name, "lrp_epsilon_plus"), "gradient_x_input"):
            value = own[(f"hum-{name}", f"frequency/{attribution}/localisation/mass/confound")]
            times[name, attribution == "gradient_x_input"] = value / chance
    default = {name: value for (name, is_gradient), value in times.items() if not is_gradient}
    mel = [value for name, value in default.items() if name not in WAVEFORM]
    by_gradient = max(value for (name, is_gradient), value in times.items() if is_gradient and name not in WAVEFORM)
    assert f"has {100 * chance:.1f} % in the hum" in said["RESULTS.md"]
    assert (
        "has {:.0f} and {:.0f} times as much there".format(*(default[name] for name in WAVEFORM)) in said["RESULTS.md"]
    )
    assert f"it has {min(mel):.1f} to {max(mel):.1f} times as much" in said["RESULTS.md"]
    assert f"gradient times input at most {by_gradient:.1f} times" in said["RESULTS.md"]


def test_the_use_of_relevance_of_deep_networks(noted, said):
    all_rows = noted[noted["row"].str.startswith("useful-")].pivot(index="row", columns="figure", values="value")
    transformers = all_rows.loc[["useful-ast", "useful-wav2vec2"]]
    own = all_rows.drop(transformers.index)
    of = {name: own[f"input/{name}/deletion/accuracy"] for name in ("lrp_epsilon_plus", "lrp_epsilon", "amplitude")}
    likeness = own["input/lrp_epsilon_plus/soundness/class_similarity"].max()
    amplification = own["input/lrp_epsilon_plus/soundness/amplification"].max()
    words = f"likeness is at most {likeness:.1f} on convolutional and recurrent networks, and amplification at most"
    assert f"{words} {amplification:.1f}." in said["RESULTS.md"]
    assert set(own.index) == {f"useful-{name}" for name in ("ds-cnn", "m5", "resnet", "crnn", "cnn14")}
    assert set(own.index[of["lrp_epsilon_plus"] > of["amplitude"]]) == {"useful-cnn14"}
    assert set(own.index[of["lrp_epsilon_plus"] < of["lrp_epsilon"]]) == {"useful-crnn", "useful-resnet"}
    assert "below amplitude's on DS-CNN, M5, ResNet-18 and CRNN, and above it on CNN14" in said["RESULTS.md"]
    assert "below that of `lrp_epsilon` on ResNet-18 and CRNN" in said["RESULTS.md"]
    likeness = transformers["input/attnlrp/soundness/class_similarity"].max()
    amplification = transformers["input/attnlrp/soundness/amplification"].max()
    words = f"by `attnlrp`, likeness is at most {likeness:.1f}, and amplification at most {amplification:.1f}"
    assert words in said["RESULTS.md"]
    ast, wav2vec2 = (transformers.loc[name] for name in transformers.index)
    deletion = "input/{}/deletion/accuracy".format
    assert ast[deletion("attnlrp")] < ast[deletion("amplitude")] < 1  # below on AST, above on wav2vec 2.0
    assert wav2vec2[deletion("attnlrp")] > wav2vec2[deletion("amplitude")]
    for row in (ast, wav2vec2):
        assert row[deletion("lrp_epsilon")] < min(row[deletion("attnlrp")], row[deletion("amplitude")])


def test_what_is_missing_of_the_logit(noted, said):
    own = noted[noted["row"].str.startswith("conservation-")]
    own = 100 * own[own["figure"].str.endswith("conservation_error/highest")].groupby("row")["value"].max()
    transformers = own[["conservation-ast", "conservation-wav2vec2", "conservation-wav2vec2-epsilon"]]
    lower = noted[noted["row"] == "conservation-wav2vec2-epsilon"].set_index("figure")["value"]
    assert f"it is {100 * lower['lrp_epsilon/conservation_error/highest']:.2f} % by `lrp_epsilon`" in said["RESULTS.md"]
    assert 0 < own.drop(transformers.index).max() < 0.01 and 0.01 < transformers.iloc[0] < 0.1
    assert f"0.1 % on AST, and {transformers.iloc[1]:.1f} % on wav2vec 2.0" in said["RESULTS.md"]


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
