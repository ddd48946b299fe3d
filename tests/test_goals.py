"""What "better" means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.goals import FAILED, Bound, Goals, Outcome, read_goals
from evomerge.optimizers.ranking import ranks
from evomerge.trial import Failure, Score, Trial

NUMBERS = st.floats(-100, 100)


def up(value: float) -> Score:
    return Score(value, higher_is_better=True, items=10)


def down(value: float) -> Score:
    return Score(value, higher_is_better=False, items=10)


def trial(**scores: Score) -> Trial:
    return Trial(0, "search", {}, scores=scores)


@given(NUMBERS, NUMBERS)
def test_a_better_score_is_a_smaller_loss(a, b):
    goals = read_goals("sums")
    assert (goals.losses({"sums": up(a)}) < goals.losses({"sums": up(b)})) == (a > b)
    assert (goals.losses({"sums": down(a)}) < goals.losses({"sums": down(b)})) == (a < b)


def test_several_objectives_stay_apart_and_weights_are_summed():
    scores = {"sums": up(0.5), "prose": down(2.0)}
    apart, summed = read_goals(["sums", "prose"]), read_goals({"sums": 1, "prose": 0.25})
    assert (apart.count, apart.losses(scores)) == (2, (-0.5, 2.0))
    assert (summed.count, summed.losses(scores)) == (1, (0.0,))


def test_a_mean_is_a_sum_of_equal_weights():
    goals = read_goals({"mean": ["sums", "words"]})
    assert goals == read_goals({"sums": 0.5, "words": 0.5})
    assert read_goals({"mean": 2.0}).weights == {"mean": 2.0}  # a score of that name


def test_a_list_of_one_is_one_objective():
    assert read_goals(["sums"]) == read_goals("sums")
    assert not read_goals(["sums"]).pareto


@given(NUMBERS, st.floats(-10, 0), st.floats(0, 10))
def test_a_bound_is_missed_by_the_distance_to_it(value, low, high):
    missed = Bound("prose", low, high).violation(value)
    assert missed == max(low - value, value - high, 0.0)


def test_violations_add_up():
    goals = read_goals("sums", {"prose": {"max": 3.0}, "size": {"min": 1.0, "max": 2.0}})
    scores = {"sums": up(1.0), "prose": down(3.5), "size": down(0.5)}
    assert goals.violation(scores) == 1.0
    assert not goals.outcome(trial(**scores)).feasible


def test_what_failed_or_lacks_a_score_has_no_losses():
    goals = read_goals("sums", {"prose": {"max": 3.0}})
    broken = Trial(0, "search", {}, failure=Failure("error", "NaN"))
    assert goals.outcome(broken) == FAILED
    assert goals.outcome(trial(sums=up(1.0))) == FAILED
    assert goals.outcome(trial(sums=up(1.0), prose=down(1.0))).feasible


def test_infeasible_ones_rank_behind_feasible_ones_and_failed_ones_last():
    outcomes = [FAILED, Outcome((-9.0,), 2.0), Outcome((5.0,)), Outcome((-9.0,), 1.0)]
    outcomes += [Outcome((4.0,)), FAILED, Outcome((5.0,))]
    assert ranks(outcomes) == [4, 3, 1, 2, 0, 4, 1]


@pytest.mark.parametrize(
    ("objectives", "constraints", "words"),
    [
        ([], None, "found none"),
        (3, None, "expected a name, names, or weights by name"),
        ({"sums": "high"}, None, "objectives.sums: found 'high'; expected a number"),
        ({"sums": True}, None, "expected a number"),
        ("sums", ["prose"], "expected {score: {max: 3.2}}"),
        ("sums", {"prose": {"most": 3}}, "unknown key 'most'"),
        ("sums", {"prose": {}}, "expected {min: …, max: …}"),
        ("sums", {"prose": {"min": 3, "max": 2}}, "min 3 lies above max 2"),
    ],
)
def test_other_forms_are_refused(objectives, constraints, words):
    with pytest.raises(RecipeError, match=words.replace("{", r"\{").replace("}", r"\}")):
        read_goals(objectives, constraints)


def test_a_score_that_nobody_gives_is_refused():
    goals = Goals({"sums": 1.0}, bounds=(Bound("prose", most=3.0),))
    with pytest.raises(RecipeError, match="objectives: unknown score 'sums'"):
        goals.check(["sum", "prose"])
    with pytest.raises(RecipeError, match="constraints: unknown score 'prose'"):
        goals.check(["sums"])
