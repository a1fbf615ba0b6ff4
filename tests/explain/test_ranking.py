import numpy as np
import pytest

from src.explain.ranking import Entry, table_of

SPEAKERS = [f"s{number}" for number in range(20)]


def entry(attribution: str, domain: str = "input", **values: np.ndarray) -> Entry:
    return Entry(domain, attribution, {name.replace("__", "/"): value for name, value in values.items()}, SPEAKERS)


def ranks(entries: list[Entry], measure: str) -> dict[str, str]:
    table = table_of(entries, seed=0)
    part = table[table["measure"] == measure]
    return dict(zip(part["attribution"], part["rank"], strict=True))


def test_differences_are_paired():
    """One that is always a little worse is not tied, however far clips differ; one that is worse by chance is."""
    noise = np.random.default_rng(0).standard_normal((3, 20))
    best = 10 * noise[0]
    entries = [
        entry("best", complexity__gini=best),
        entry("always worse", complexity__gini=best - 0.5),
        entry("now and then", complexity__gini=best - 0.1 + 5 * (noise[1] - noise[1].mean())),
    ]
    assert ranks(entries, "complexity/gini") == {"best": "best", "always worse": "", "now and then": "tied"}


@pytest.mark.parametrize(("measure", "best"), [("deletion/accuracy", "low"), ("faithfulness/gain", "high")])
def test_best_is_lowest_or_highest(measure, best):
    name = measure.replace("/", "__")
    entries = [entry("low", **{name: np.zeros(20)}), entry("high", **{name: np.ones(20)})]
    assert ranks(entries, measure) == {"low": "best" if best == "low" else "", "high": "best" if best == "high" else ""}


def test_domains_have_their_own_best():
    entries = [entry(name, domain, complexity__gini=np.full(20, value))
               for name, domain, value in (("a", "input", 1.0), ("b", "input", 2.0), ("a", "time", 9.0))]  # fmt: skip
    table = table_of(entries, seed=0)
    best = table[table["rank"] == "best"]
    assert list(zip(best["domain"], best["attribution"], strict=True)) == [("input", "b"), ("time", "a")]


def test_clips_without_a_value_count_for_none():
    known = np.arange(20.0)
    missing = np.where(known < 10, np.nan, known)
    table = table_of([entry("all", faithfulness__gain=known), entry("half", faithfulness__gain=missing)], seed=0)
    assert table["mean"].tolist() == [14.5, 14.5]
    assert table_of([entry("none", faithfulness__gain=np.full(20, np.nan))], seed=0).empty


def test_chance_is_no_rival():
    entries = [entry(name, localisation__chance__confound=np.full(20, 0.1)) for name in "ab"]
    assert set(ranks(entries, "localisation/chance/confound").values()) == {""}
