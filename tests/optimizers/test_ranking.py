"""What is better than what, and what stands in for a failure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.front import dominates
from evomerge.goals import FAILED, Outcome
from evomerge.optimizers.ranking import Stand, ranks

numbers = st.integers(0, 5).map(float)


def outcomes(objectives: int):
    losses = st.tuples(*[numbers] * objectives)
    scored = st.builds(Outcome, losses, st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    return st.lists(st.one_of(scored, st.just(FAILED)), min_size=1, max_size=12)


@given(outcomes(1))
def test_one_objective_ranks_feasible_then_violating_then_failed(told):
    def key(outcome: Outcome) -> tuple[int, float]:
        if outcome.losses is None:
            return 2, 0.0
        return (1, outcome.violation) if outcome.violation else (0, outcome.losses[0])

    keys = sorted({key(each) for each in told})
    assert ranks(told) == [float(keys.index(key(each))) for each in told]


@given(outcomes(3))
def test_what_dominates_ranks_before_what_it_dominates(told):
    places = ranks(told)
    for one, mine in zip(told, places, strict=True):
        for other, theirs in zip(told, places, strict=True):
            if one.feasible and not other.feasible:
                assert mine < theirs
            if one.feasible and other.feasible and dominates(one.losses, other.losses):
                assert mine < theirs


@given(outcomes(2), outcomes(2), st.floats(0.25, 4), st.floats(0.25, 4))
def test_ranks_do_not_mind_how_objectives_are_scaled(told, among, first, second):
    def scaled(outcome: Outcome) -> Outcome:
        if outcome.losses is None:
            return outcome
        return Outcome((outcome.losses[0] * first, outcome.losses[1] * second), outcome.violation)

    before, after = (
        ranks(told, [*told, *among]),
        ranks([scaled(each) for each in told], [scaled(each) for each in [*told, *among]]),
    )
    # Ties of the second criterion may part by rounding; the order of the first may not change.
    assert all(
        (a < b) == (c < d) or abs(a - b) <= 1
        for a, c in zip(before, after, strict=True)
        for b, d in zip(before, after, strict=True)
    )


def test_recorded_outcomes_decide_between_points_that_do_not_dominate_each_other():
    # Both are on a front of two. Three recorded ones lie below the first.
    told = [Outcome((1.0, 4.0)), Outcome((4.0, 1.0))]
    crowd = [Outcome((0.5, 3.0 + i / 10)) for i in range(3)]
    assert ranks(told, crowd) == [1.0, 0.0]
    assert ranks([told[1], told[0]], crowd) == [0.0, 1.0]


def test_of_a_front_the_point_nearest_to_the_ideal_comes_first():
    told = [Outcome((0.0, 10.0)), Outcome((0.3, 2.0)), Outcome((1.0, 0.0))]
    assert ranks(told).index(0.0) == 1


def test_infinite_and_undefined_losses_count_as_failures():
    told = [Outcome((math.nan,)), Outcome((math.inf,)), FAILED, Outcome((1e9,), 5.0)]
    assert ranks(told) == [1.0, 1.0, 1.0, 0.0]


def test_a_failure_stands_as_bad_as_anything_so_far():
    stand = Stand()
    assert stand.outcome(FAILED) is None
    for outcome in (Outcome((1.0, 5.0), 0.5), Outcome((3.0, 2.0))):
        assert stand.outcome(outcome) == outcome
    assert stand.outcome(FAILED) == Outcome((3.0, 5.0), 0.5)
    assert stand.outcome(Outcome((math.nan, 0.0))) == Outcome((3.0, 5.0), 0.5)


def test_nothing_to_rank():
    assert ranks([]) == []
    assert ranks([FAILED], [FAILED]) == [0.0]


@pytest.mark.parametrize("objectives", [1, 2])
def test_equals_share_a_rank(objectives):
    assert ranks([Outcome((1.0,) * objectives)] * 3) == [0.0] * 3
