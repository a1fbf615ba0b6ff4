"""Planned sizes are those that the test of the primary comparison needs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from auscult.mistake import Mistake
from auscult.study.crossed import Estimate, estimate
from auscult.study.sample_size import highest_power, participants_needed, power_of, told
from tests.study.drawn import NAMES, answered, assigned


@pytest.mark.parametrize(("effect", "people"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_a_study_needs_more_than_a_paired_t_test_and_little_more_with_many_clips(effect, people):
    """The lower bound is G*Power's size of two-sided paired t-tests, with a power of 0.8 at 0.05."""
    noncentral, bound = stats.nct(people - 1, effect * np.sqrt(people)), stats.t(people - 1).ppf(0.975)
    assert noncentral.sf(bound) + noncentral.cdf(-bound) >= 0.8
    needed = [participants_needed(effect, clips=clips) for clips in (1000, 40, 20, 12)]
    assert people <= needed[0] <= 1.07 * people + 1 and needed == sorted(needed)
    assert participants_needed(effect, clips=20, clip_effect=2) >= needed[2]


def test_a_study_plans_for_all_its_primary_comparisons():
    together = participants_needed(0.5, comparisons=6)
    assert together == participants_needed(0.5, alpha=0.05 / 6) > participants_needed(0.5) + 15
    assert participants_needed(20) == 2


def test_more_participants_do_not_make_up_for_few_clips():
    """With endlessly many participants the test is a paired t-test by clips."""
    ceiling = highest_power(12, 0.7, 0.05)
    noncentral, bound = stats.nct(11, 0.7 * np.sqrt(12)), stats.t(11).ppf(0.975)
    assert ceiling == pytest.approx(noncentral.sf(bound) + noncentral.cdf(-bound)) and ceiling < 0.6
    assert power_of(0.5, 10**6, 0.05, 12, 0.7) == pytest.approx(ceiling, abs=0.01)
    with pytest.raises(Mistake, match=r"clips=12 are too few: .* a power of 0.8, but 0\.6 at most; take more clips"):
        participants_needed(0.5, clips=12, clip_effect=0.7)
    assert "brings a power above 0.98" in told(0.5, 0.8, 0.05, 1, 20, 1)
    assert "more participants cannot make up for few clips: say clip_effect" in told(0.5, 0.8, 0.05, 1, 20, None)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("clips", "conditions", "clip_by_condition"), [(20, 4, 0.0), (40, 4, 0.0), (24, 3, 0.1), (40, 2, 0.15)]
)
def test_the_planned_size_finds_what_it_was_planned_for(clips, conditions, clip_by_condition):
    """Four studies of five find 0.2 between shares of correct guesses, whose d_z is known from many participants."""
    random = np.random.default_rng(0)

    def found_in(layout: pd.DataFrame) -> Estimate:
        table = answered(layout, random, 0.2, clip_by_condition, mean=0.4)
        part = table[table["condition"].isin(NAMES[:2])]
        values, people, sounds = (part[name].to_numpy() for name in ("correct", "participant", "clip"))
        return estimate(values, people, sounds, (part["condition"] == NAMES[1]).to_numpy())

    many = assigned(200, clips, conditions)
    spread = np.mean([found_in(many).by_participants.std(ddof=1) for _ in range(10)])
    clip_effect = 0.2 / (clip_by_condition * np.sqrt(2)) if clip_by_condition else None
    layout = assigned(participants_needed(0.2 / spread, clips=clips, clip_effect=clip_effect), clips, conditions)
    assert 0.74 < np.mean([found_in(layout).p < 0.05 for _ in range(500)]) < 0.88
