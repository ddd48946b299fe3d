"""Promises of what is best, and of who goes to the holdout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import SearchError
from evomerge.evidence import Gauge, best, best_of, choose_finalists, gauge_of, worth
from evomerge.goals import read_goals
from evomerge.trial import (
    BASELINES,
    HOLDOUT,
    RETRIES,
    SEARCH,
    SIMPLIFICATION,
    Failure,
    Score,
    Trial,
)
from tests.evidence.runs import add, add_family, begin, some

SUMS = read_goals("sums")
BOTH = read_goals(["sums", "prose"])


def trial(number, sums, stage=SEARCH, prose=None, **fields):
    scores = {"sums": Score(sums, True, 100)}
    if prose is not None:
        scores["prose"] = Score(prose, False, 100)
    return Trial(number, stage, {}, scores=scores, **fields)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_best_has_the_greatest_score_and_of_those_the_lowest_number(values):
    trials = [trial(number, value / 5) for number, value in enumerate(values)]
    found = best(list(reversed(trials)), SUMS, Gauge({}))
    assert found.number == values.index(max(values))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20))
def test_where_low_is_good_the_best_is_the_lowest(values):
    goals = read_goals("prose")
    trials = [trial(n, 0.0, prose=float(value)) for n, value in enumerate(values)]
    assert best(trials, goals, Gauge({})).number == values.index(min(values))


def test_the_best_meets_all_constraints():
    goals = read_goals("sums", {"prose": {"max": 3.0}})
    trials = [trial(0, 0.9, prose=3.1), trial(1, 0.8, prose=3.0)]
    assert best(trials, goals, Gauge({})).number == 1


def test_there_is_no_best_of_none():
    failed = Trial(0, SEARCH, {}, failure=Failure("error", "no"))
    with pytest.raises(SearchError, match="none of 1 trials"):
        best([failed], SUMS, Gauge({}))


def test_one_objective_keeps_its_units():
    assert gauge_of(SUMS, [trial(0, 0.2), trial(1, 0.4)]) == Gauge({})
    assert worth(SUMS, Gauge({}), trial(0, 0.3).scores) == 0.3


def test_a_weighted_sum_is_the_sum_of_what_is_good():
    goals = read_goals({"sums": 1, "prose": 0.5})
    assert worth(goals, Gauge({}), trial(0, 0.3, prose=4.0).scores) == 0.3 - 0.5 * 4.0


def test_objectives_of_a_front_count_in_spans_of_the_baselines():
    """Span of sums 0.2, of prose 4: 0.6 and 3 are worth (3 - 0.75) / 2."""
    baselines = [trial(0, 0.2, prose=6.0), trial(1, 0.4, prose=2.0)]
    gauge = gauge_of(BOTH, baselines)
    assert gauge.spans == pytest.approx({"sums": 0.2, "prose": 4.0})
    assert worth(BOTH, gauge, trial(2, 0.6, prose=3.0).scores) == pytest.approx(2.25 / 2)


@given(scale=st.floats(0.001, 1000))
def test_the_units_of_an_objective_of_a_front_do_not_matter(scale):
    values = [(0.2, 6.0), (0.4, 2.0), (0.3, 1.0), (0.45, 4.0)]
    one = [trial(n, a, prose=b) for n, (a, b) in enumerate(values)]
    other = [trial(n, a, prose=b * scale) for n, (a, b) in enumerate(values)]
    worths = [
        [worth(BOTH, gauge_of(BOTH, trials[:2]), each.scores) for each in trials]
        for trials in (one, other)
    ]
    assert worths[0] == pytest.approx(worths[1])


def test_an_objective_in_which_baselines_do_not_differ_counts_in_shares_of_it():
    gauge = gauge_of(BOTH, [trial(0, 0.2, prose=6.0), trial(1, 0.2, prose=2.0)])
    assert gauge.spans == {"sums": 0.2, "prose": 4.0}
    assert gauge_of(BOTH, [trial(0, 0.0, prose=0.0)]).spans == {"sums": 1.0, "prose": 1.0}


def test_finalists_are_the_best_trials_of_the_search_in_order(tmp_path):
    with begin(tmp_path) as study:
        add_family(study, 0.9)  # not even then are they contenders
        for share in (0.3, 0.8, 0.5, 0.8, 0.7):
            add(study, {"sums": some(share)})
        assert [each.number for each in choose_finalists(study, 3)] == [3, 5, 6]
        assert [each.number for each in choose_finalists(study, 99)] == [3, 5, 6, 4, 2]
        assert best_of(study).number == 3


def test_a_recipe_to_start_from_may_be_the_best_but_takes_no_other_place(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        for label, share in (("uniform soup", 0.9), ("default TIES", 0.8)):
            add(study, {"sums": some(share)}, BASELINES, label=label)
        add(study, {"sums": some(0.7)})
        add(study, {"sums": some(0.6)})
        assert [each.label or each.number for each in choose_finalists(study, 3)] == [
            "uniform soup",
            4,
            5,
        ]


def test_what_repeats_or_follows_the_search_is_no_contender(tmp_path):
    with begin(tmp_path) as study:
        add_family(study)
        add(study, {"sums": some(0.6)})
        add(study, {"sums": some(0.9)}, recalled=1)
        add(study, {"sums": some(0.9)}, RETRIES, label="parent words", subject=1)
        add(study, {"sums": some(0.9)}, SIMPLIFICATION, subject=2)
        add(study, {"sums": some(0.9)}, HOLDOUT, subject=2)
        add(study, {"sums": some(0.7)}, RETRIES, subject=2)
        assert [each.number for each in choose_finalists(study, 9)] == [7, 2]


def on_front(study, *places):
    for a, b in places:
        add(study, {"sums": some(a), "words": some(b)})


def test_finalists_of_a_front_are_the_best_and_then_the_farthest(tmp_path):
    with begin(tmp_path, objectives=["sums", "words"]) as study:
        for a, b in ((0.0, 0.0), (0.5, 0.5)):
            add(study, {"sums": some(a), "words": some(b)}, BASELINES, label="base")
        on_front(study, (0.9, 0.1), (0.65, 0.65), (0.6, 0.6), (0.1, 0.9), (0.68, 0.6))
        assert [each.number for each in choose_finalists(study, 3)] == [3, 2, 5]
        # 4 is dominated by 3; there is no fifth.
        assert {each.number for each in choose_finalists(study, 9)} == {2, 3, 5, 6}


def test_equal_points_of_a_front_are_scored_once(tmp_path):
    with begin(tmp_path, objectives=["sums", "words"]) as study:
        on_front(study, (0.5, 0.5), (0.5, 0.5), (0.9, 0.2))
        assert [each.number for each in choose_finalists(study, 9)] == [2, 0]
