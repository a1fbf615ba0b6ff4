"""What `explain_by` and `callbacks` ask for at the end of a training."""

import pytest

from auscult.former_names import with_current_names
from auscult.mistake import Mistake
from auscult.program import config
from auscult.program.conf import choices_of
from auscult.program.explain_by import GROUPS, check_explain_by, explanations_of, group_of, is_explained
from tests.program.test_config import composed

LRP = {"name": "lrp_epsilon", "_target_": "src.explain.lrp.LRP", "composite": "epsilon"}
KEPT = {"name": "keep_band", "_target_": "src.explain.interventions.KeepBand", "low_hz": 300, "high_hz": None}


def test_no_name_is_of_two_groups():
    assert not set.intersection(*(set(choices_of(group)) for group in GROUPS))


def test_names_are_of_their_groups():
    explanations = explanations_of({"explain_by": ["keep_band", "random", "lrp_box"]})
    assert list(explanations) == ["keep_band", "random", "lrp_box"]
    assert explanations["random"] == {"attribution": "random"}
    # nothing is removed as an intervention is tested; the first attribution shows its clips
    kept = {"intervention": "keep_band", "attribution": "random", "perturbation": {"fractions": None}}
    assert explanations["keep_band"] == kept
    assert explanations_of({"explain_by": ["keep_band"]})["keep_band"]["attribution"] == "gradient_x_input"
    assert explanations_of({"explain_by": None, "callbacks": None}) == {} == explanations_of({})


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (["nothing"], r"names nothing; choose among amplitude, .* or an intervention: keep_band, "),
        (["random", "random"], "has a name twice"),
        (3, "is not a list of attributions and interventions"),
        ([{"a": 1}], "choose among"),
    ],
)
def test_what_is_no_name_is_refused(named, says):
    with pytest.raises(Mistake, match=says):
        check_explain_by({"explain_by": named})


def test_a_name_in_both_groups_is_refused(tmp_path, monkeypatch):
    from auscult.program import conf

    for group in GROUPS:
        (tmp_path / group).mkdir()
        (tmp_path / group / "mine.yaml").touch()
    monkeypatch.setattr(conf, "CONF", tmp_path)
    with pytest.raises(Mistake, match=r"mine, an .*; rename conf/attribution/mine.yaml or conf/intervention/mine"):
        group_of("mine", ["mine"])


def test_callbacks_of_conf_are_such_names():
    given = ["callbacks=[explain,intervention]", "intervention=keep_band", "attribution=random", "explain_by=[lrp_box]"]
    given += ["callbacks.perturbation.fractions=[0,0.5]", "callbacks.perturbation.seed=7", "fill=zero"]
    checked = config.check(composed(*given))
    explanations = explanations_of(checked)
    assert list(explanations) == ["random", "keep_band", "lrp_box"]
    assert explanations["random"]["attribution"] == checked["attribution"]
    assert explanations["random"]["fill"]["name"] == "zero" and explanations["random"]["seed"] == 7
    removal = {"definition": "sounding", "fractions": [0, 0.5], "random_orders": 3}
    assert explanations["random"]["perturbation"] == removal
    assert explanations["keep_band"]["intervention"] == checked["intervention"]


@pytest.mark.parametrize("package", ["src", "auscult"])
def test_callbacks_of_before_are_such_names(package):
    """A user's YAML, a run folder and a checkpoint may have them."""
    curves = {"_target_": f"{package}.explain.callbacks.PerturbationCurves", "_recursive_": False, "attribution": LRP}
    test = {"_target_": f"{package}.explain.callbacks.InterventionTest", "_recursive_": False, "intervention": KEPT}
    held = {"callbacks": {"mine": {**curves, "fractions": [0.1], "random_orders": 1, "seed": 3}, "other": test}}
    explanations = explanations_of(with_current_names(held))
    assert explanations["lrp_epsilon"]["attribution"]["_target_"] == "auscult.explain.attribution.lrp.LRP"
    assert explanations["lrp_epsilon"]["perturbation"] == {"fractions": [0.1], "random_orders": 1}
    assert explanations["keep_band"]["intervention"]["high_hz"] is None
    test["seed"] = 0  # which early ones have, and which was of nothing
    assert set(explanations_of(with_current_names(held))) == {"lrp_epsilon", "keep_band"}


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"attribution": LRP | {"name": "../../elsewhere"}}, "callbacks.mine.attribution is no choice of"),
        (
            {"intervention": LRP},
            "callbacks.mine.intervention is no choice of conf/intervention; choose among",
        ),
        ({"attribution": "lrp_epsilon"}, "is no choice of"),
        ({"attribution": LRP, "fraction": 1}, "callbacks.mine.fraction is not an option; choose among attribution, "),
    ],
)
def test_a_node_that_explains_nothing_is_refused(node, says):
    with pytest.raises(Mistake, match=says):
        explanations_of({"callbacks": {"mine": node}})


def test_a_run_is_explained_when_each_name_has_its_metrics():
    asked = {"explain_by": ["keep_band"], "callbacks": {"perturbation": {"attribution": LRP}}}
    assert not is_explained(asked, ["test/accuracy", "keep_band/intervention/flipped"])
    assert is_explained(asked, ["keep_band/intervention/flipped", "lrp_epsilon/cost/passes"])
    assert is_explained(asked, ["keep_band/intervention/flipped", "perturbation/area/relevance"])  # as of before
    assert not is_explained(asked, ["perturbation/area/relevance"])
    assert is_explained({}, ["test/accuracy"])
