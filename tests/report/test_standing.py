"""Promises of the standing of a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evomerge.front import front
from evomerge.goals import Bound, Goals
from evomerge.report.standing import Standing
from evomerge.trial import BASELINES, SEARCH
from tests.report.trials import APART, ONE, SUMMED, baseline, failed, trial

VALUE = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
RUNS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=12)


@given(RUNS)
def test_the_front_is_that_of_all_trials_at_once(pairs):
    trials = [trial(n, values={"sums": a, "words": b}) for n, (a, b) in enumerate(pairs)]
    expected = front(np.array([[-a, -b] for a, b in pairs]))
    assert [t.number for t in Standing(APART, trials).front] == list(expected)


@given(RUNS)
def test_the_best_has_the_least_loss_and_of_equals_the_first(pairs):
    trials = [trial(n, values={"sums": a, "words": b}) for n, (a, b) in enumerate(pairs)]
    totals = [a + 0.5 * b for a, b in pairs]
    standing = Standing(SUMMED, trials)
    best = standing.best()
    assert best is not None
    assert best.number == totals.index(max(totals))
    assert standing.total(best) == max(totals)


@given(RUNS)
def test_a_trial_told_twice_counts_once(pairs):
    trials = [trial(n, values={"sums": a, "words": b}) for n, (a, b) in enumerate(pairs)]
    once, twice = Standing(APART, trials), Standing(APART, [*trials, *trials])
    assert once.counts == twice.counts
    assert once.front == twice.front


def test_baselines_have_a_best_of_their_own():
    standing = Standing(ONE, [baseline(0, "base", sums=0.4), baseline(1, "sums", sums=0.6)])
    assert standing.best() is None
    best = standing.best(BASELINES)
    assert best is not None
    assert best.label == "sums"


def test_an_objective_that_is_to_be_lowered_is():
    goals = Goals({"prose": 1.0})
    trials = [trial(n, values={"prose": value}) for n, value in enumerate([3.0, 2.0, 2.5])]
    standing = Standing(goals, trials)
    best = standing.best()
    assert best is not None
    assert (best.number, standing.total(best)) == (1, 2.0)
    assert standing.bests()["prose"].value == 2.0


def test_what_violates_a_constraint_or_failed_is_neither_best_nor_on_the_front():
    goals = Goals({"sums": 1.0}, bounds=(Bound("prose", most=3.0),))
    trials = [
        trial(0, values={"sums": 0.9, "prose": 3.5}),
        failed(1),
        trial(2, values={"sums": 0.5, "prose": 2.5}),
    ]
    standing = Standing(goals, trials)
    assert [t.number for t in standing.front] == [2]
    best = standing.best()
    assert best is not None
    assert best.number == 2
    assert [t.number for t in standing.failed] == [1]
    assert standing.counts[SEARCH] == 3


def test_a_recipe_stands_on_the_front_once():
    first = trial(0, values={"sums": 0.5, "words": 0.5})
    standing = Standing(APART, [first, replace(first, number=1, recalled=0)])
    assert [t.number for t in standing.front] == [0]


def test_where_objectives_stay_apart_there_is_no_one_best():
    pair = [trial(0, values={"sums": 0.9, "words": 0.1}), trial(1, values={"sums": 0, "words": 1})]
    standing = Standing(APART, pair)
    assert standing.best() is None
    assert {name: score.value for name, score in standing.bests().items()} == {
        "sums": 0.9,
        "words": 1,
    }
