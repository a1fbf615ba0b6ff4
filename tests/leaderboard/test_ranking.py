import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from auscult.leaderboard.ranking import Entry, holm, table_of

SPEAKERS = [f"s{number}" for number in range(20)]


def entry(attribution: str, domain: str = "input", **values: np.ndarray) -> Entry:
    return Entry(domain, attribution, {name.replace("__", "/"): value for name, value in values.items()}, SPEAKERS)


def ranks(entries: list[Entry], measure: str) -> dict[str, str]:
    table = table_of(entries)
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
    table = table_of(entries)
    best = table[table["rank"] == "best"]
    assert list(zip(best["domain"], best["attribution"], strict=True)) == [("input", "b"), ("time", "a")]


def test_clips_without_a_value_count_for_none():
    known = np.arange(20.0)
    missing = np.where(known < 10, np.nan, known)
    table = table_of([entry("all", faithfulness__gain=known), entry("half", faithfulness__gain=missing)])
    assert table["mean"].tolist() == [14.5, 14.5]
    assert table_of([entry("none", faithfulness__gain=np.full(20, np.nan))]).empty


def test_chance_is_no_rival():
    entries = [entry(name, localisation__chance__confound=np.full(20, 0.1)) for name in "ab"]
    assert set(ranks(entries, "localisation/chance/confound").values()) == {""}


@pytest.mark.slow
@pytest.mark.parametrize("speakers", [6, 11, 20])
def test_at_most_a_twentieth_of_tables_parts_what_is_equal(speakers: int) -> None:
    """Ten attributions that are equally good, seen by some noisily; a clip's difficulty is theirs in common."""
    generator = np.random.default_rng(speakers)
    names = [f"s{number % speakers}" for number in range(4 * speakers)]
    noise = np.linspace(0.3, 2, 10)
    parted = 0
    for _ in range(400):
        of_speaker = generator.standard_normal((speakers, 1)) + noise * generator.standard_normal((speakers, 10))
        values = np.tile(of_speaker, (4, 1)) + generator.standard_normal((4 * speakers, 10))
        entries = [
            Entry("input", str(number), {"complexity/entropy": values[:, number]}, names) for number in range(10)
        ]
        parted += "" in table_of(entries)["rank"].tolist()
    assert parted <= 0.05 * 400 + 2 * (400 * 0.05 * 0.95) ** 0.5, parted


def test_holms_correction_is_that_of_statsmodels():
    p = np.random.default_rng(0).random(40) ** 4
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_what_differs_is_parted():
    """However far speakers differ; and those alike stay tied."""
    generator = np.random.default_rng(0)
    difficulty, names = generator.standard_normal(11), [f"s{number}" for number in range(11)]
    noise = 0.1 * generator.standard_normal((4, 11))
    entries = [
        Entry("input", name, {"complexity/gini": difficulty + noise[number] + level}, names)
        for number, (name, level) in enumerate({"a": 1.0, "b": 1.0, "c": 0.6, "d": 0.0}.items())
    ]
    found = ranks(entries, "complexity/gini")
    assert found["c"] == found["d"] == "" and sorted((found["a"], found["b"])) == ["best", "tied"]


def test_nothing_is_the_best_of_one_speakers_clips() -> None:
    """Nothing can be tested, and a mean that is the lowest is no result."""
    one, other = (Entry("input", name, {"complexity/entropy": np.array(values)}, ["a"] * 3)
                  for name, values in (("one", [1.0, 2.0, 3.0]), ("other", [4.0, 5.0, 6.0])))  # fmt: skip
    table = table_of([one, other])
    assert table["mean"].tolist() == [2.0, 5.0] and table["rank"].tolist() == ["", ""]


@pytest.mark.parametrize(("level", "rank"), [(0.1, "ahead"), (0.5, "tied"), (0.9, "")])
def test_a_control_is_never_the_best(level, rank):
    """It is said to be ahead where it is, and of controls alone one is the best."""
    scatter = 0.01 * np.random.default_rng(0).standard_normal(8)
    speakers = list("abcdefgh")
    mine = Entry("input", "mine", {"deletion/accuracy": 0.5 + scatter}, speakers)
    control = Entry("input", "random", {"deletion/accuracy": level + scatter[::-1]}, speakers)
    assert ranks([mine, control], "deletion/accuracy") == {"mine": "best", "random": rank}
    assert ranks([control], "deletion/accuracy") == {"random": "best"}


def test_that_a_control_is_cheap_says_nothing():
    scatter = 0.01 * np.random.default_rng(0).standard_normal(8)
    entries = [
        Entry("input", name, {"cost/passes": cost + scatter}, list("abcdefgh"))
        for name, cost in (("mine", 3), ("random", 0))
    ]
    assert ranks(entries, "cost/passes") == {"mine": "", "random": ""}
    assert table_of(entries)["low"].isna().all(), "all clips of a batch have one figure"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("speakers", "clips"), [(2, 1), (2, 4), (2, 8), (3, 2), (3, 5), (4, 1), (4, 2), (5, 3), (12, 4)]
)
def test_measures_that_are_yes_or_no_part_no_more(speakers, clips):
    """Of few speakers, all may have the same mean by luck, which is no certainty."""
    generator, names = np.random.default_rng(0), [f"s{number // clips}" for number in range(speakers * clips)]
    parted = 0
    for _ in range(300):
        values = (generator.random((speakers * clips, 8)) < 0.6).astype(float)
        entries = [Entry("input", str(one), {"faithfulness/fidelity_in": values[:, one]}, names) for one in range(8)]
        parted += {"best", ""} <= set(table_of(entries)["rank"])
    assert parted <= 0.05 * 300 + 2 * (300 * 0.05 * 0.95) ** 0.5, parted


def test_a_check_fails_in_either_direction():
    """Relevance of a network that knows nothing must neither resemble the trained one's nor be its negative."""
    entries = [
        entry(name, sanity__all_layers=np.full(20, value)) for name, value in (("a", 0.9), ("b", -0.9), ("c", 0.1))
    ]
    assert ranks(entries, "sanity/all_layers") == {"a": "fails", "b": "fails", "c": ""}
