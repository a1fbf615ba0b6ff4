"""Comparisons of a study's plan confirm, and all others explore: each family errs in 5 % of studies at most."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auscult.study.comparisons import compare, holm
from auscult.study.plan import Comparison
from tests.study.drawn import NAMES, answered, assigned

PRIMARY = Comparison(NAMES[0], NAMES[1], "correct", "all")


@pytest.fixture
def no_collection(monkeypatch):
    """Leaves out garbage collection, which statsmodels calls in each correction: it takes most of the time."""
    monkeypatch.setattr("gc.collect", lambda *_: 0)


def found_in(design: tuple[int, int, int], studies: int, seed: int, **drawn: float) -> pd.DataFrame:
    """For each study: whether the primary comparison, and anything in the exploratory table, is below 0.05."""
    random, layout, rows = np.random.default_rng(seed), assigned(*design), []
    for _ in range(studies):
        table = compare(answered(layout, random, **drawn), [PRIMARY])
        least = table.groupby("role")[["p", "p_holm", "p_by_participants"]].min()
        within = table.groupby(["measure", "clips"])["p_by_participants"].transform(holm)
        rows.append(
            {
                "primary": least.loc["primary", "p"],
                "exploratory": least.loc["exploratory", "p_holm"],
                "before": within.min(),  # as the report once corrected: paired t-tests, Holm for each measure and kind
            }
        )
    return pd.DataFrame(rows) < 0.05


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("clip_by_condition", [0, 0.2])
def test_empty_studies_find_something_in_a_twentieth_at_most(clip_by_condition, no_collection):
    studies = 200
    errors = found_in((24, 20, 4), studies, 0, clip_by_condition=clip_by_condition).sum()
    allowed = stats.binom(studies, 0.05).ppf(0.999)
    assert errors["primary"] <= allowed and errors["exploratory"] <= allowed
    assert errors["before"] > allowed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_difference_is_confirmed(no_collection):
    shares = found_in((40, 40, 3), 50, 1, effect=0.2, clip_by_condition=0.1).mean()
    assert shares["primary"] > 0.9


@pytest.mark.slow
def test_rows_are_of_two_roles_and_each_is_a_family_of_its_own():
    table = compare(answered(assigned(12, 12, 3), np.random.default_rng(0), effect=0.3), [PRIMARY])
    assert len(table) == 3 * 2 * 3 and table["role"].tolist() == ["primary"] + ["exploratory"] * 17
    first, others = table.iloc[0], table.iloc[1:].sort_values("p")
    assert (first["one"], first["other"], first["measure"], first["clips"]) == (NAMES[0], NAMES[1], "correct", "all")
    assert first["p_holm"] == first["p"]
    by_hand = np.minimum(np.maximum.accumulate(others["p"].to_numpy() * np.arange(17, 0, -1)), 1)
    np.testing.assert_allclose(others["p_holm"], by_hand)
    assert len({frozenset(row[["one", "other"]]) | set(row[["measure", "clips"]]) for _, row in table.iterrows()}) == 18


@pytest.mark.slow
def test_a_planned_difference_has_the_sign_that_the_plan_says():
    table = answered(assigned(12, 12, 3), np.random.default_rng(0), effect=0.3)
    one, other = (
        compare(table, [Comparison(*pair, "rating", "wrong")]).iloc[0] for pair in ((NAMES[1], NAMES[0]), NAMES[:2])
    )
    assert one["role"] == other["role"] == "primary" and one["difference"] == -other["difference"] != 0


@pytest.mark.slow
def test_several_planned_comparisons_share_the_level():
    planned = [PRIMARY, Comparison(NAMES[0], NAMES[2], "correct", "all")]
    table = compare(answered(assigned(12, 12, 3), np.random.default_rng(0)), planned)
    small, large = table["p"].iloc[:2].min(), table["p"].iloc[:2].max()
    assert sorted(table["p_holm"].iloc[:2]) == pytest.approx([min(1, 2 * small), min(1, max(2 * small, large))])


def test_without_a_plan_everything_explores():
    table = compare(answered(assigned(12, 12, 2), np.random.default_rng(0)))
    assert set(table["role"]) == {"exploratory"} and len(table) == 6


def test_what_cannot_be_tested_counts_as_tested():
    corrected = holm(pd.Series([0.02, np.nan, 0.5]))
    assert corrected.tolist()[::2] == pytest.approx([0.06, 1]) and np.isnan(corrected[1])


def test_differences_that_are_all_alike_are_no_proof():
    table = assigned(6, 6, 2)
    table = table.assign(correct=(table["condition"] == NAMES[0]).astype(float), rating=np.nan)
    [row] = compare(table).query("clips == 'all'").to_dict("records")
    unknown = ("p", "p_holm", "t", "low", "high", "d_z", "p_by_participants", "p_by_clips")
    assert row["difference"] == 1 and all(np.isnan(row[name]) for name in unknown)


def test_too_few_participants_are_no_comparison():
    """One participant judges each clip under one condition only. Two participants have different turns."""
    for people, rows in ((1, 0), (2, 6)):
        table = compare(answered(assigned(people, 12, 2), np.random.default_rng(0)), [PRIMARY])
        assert len(table) == rows
