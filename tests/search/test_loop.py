"""The loop asks, records and tells in order; a resumed one goes on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import SearchError
from evomerge.goals import read_goals
from evomerge.searching import Budget
from evomerge.searching.budget import MOST_REPEATS
from evomerge.study import Study
from evomerge.trial import Failure, Result, Score
from tests.search.fakes import DENSITY, METHOD, SPACE, WEIGHT, Chain, new_study, run, score

TEN = Budget(trials=10)


def recorded(study: Study) -> list[tuple]:
    """What must not depend on when a run was stopped."""
    keep = ("number", "stage", "label", "point", "recipe", "scores", "failure", "recalled")
    return [tuple(getattr(trial, name) for name in keep) for trial in study.trials]


@pytest.fixture
def study(tmp_path: Path):
    with new_study(tmp_path / "run") as study:
        yield study


def test_what_it_starts_from_comes_first_and_does_not_count(study):
    assert run(study, TEN) == "the budget of 10 trials is spent"
    assert [trial.stage for trial in study.trials] == ["baselines"] * 2 + ["search"] * 10
    assert [trial.label for trial in study.trials[:3]] == ["base", "corner uniform", ""]


@pytest.mark.parametrize("lookahead", [1, 4])
def test_trial_n_is_asked_after_exactly_those_up_to_n_minus_l(study, lookahead):
    asked: list[tuple[int, int]] = []

    class Noting(Chain):
        def ask(self, number):
            asked.append((number, len(self.told)))
            return super().ask(number)

    run(study, TEN, optimizer=Noting(3), lookahead=lookahead)
    assert asked == [(n, max(0, n - lookahead + 1)) for n in range(10)]


@pytest.mark.parametrize("lookahead", [1, 4])
def test_cut_after_any_trial_it_goes_on_to_the_same_end(tmp_path, lookahead):
    with new_study(tmp_path / "whole") as whole:
        run(whole, TEN, lookahead=lookahead)
        expected = recorded(whole)
    for cut in range(11):
        with new_study(tmp_path / f"cut {cut}") as first:
            run(first, Budget(trials=cut), lookahead=lookahead)
        with Study.open(tmp_path / f"cut {cut}", write=True) as second:
            run(second, TEN, lookahead=lookahead)
            assert recorded(second) == expected


def test_an_optimizer_is_told_settled_points(study):
    told = []

    class Noting(Chain):
        def tell(self, number, point, outcome):
            told.append(point)
            super().tell(number, point, outcome)

    run(study, TEN, optimizer=Noting(3))
    linear = [point for point in told if point[METHOD] == "linear"]
    assert linear
    assert {point[DENSITY] for point in linear} == {SPACE.middle()[DENSITY]}


def test_a_failed_trial_is_recorded_and_told(study):
    run(study, Budget(trials=30))
    failed = [trial for trial in study.trials if trial.failure]
    assert failed
    assert all(trial.point[WEIGHT] < 0 and not trial.scores for trial in failed)


class Repeating(Chain):
    """Proposes two points in turn."""

    def ask(self, number):
        return {METHOD: "linear", WEIGHT: 0.25 * (number % 2), DENSITY: 0.2 + 0.001 * number}


def test_the_same_recipe_is_recalled_not_scored_and_many_of_them_end_the_search(study):
    calls = []

    def counting(recipe):
        calls.append(recipe)
        return score(recipe)

    ended = run(study, Budget(trials=500), optimizer=Repeating(3), scorer=counting)
    assert ended == f"the last {MOST_REPEATS} proposals had all been scored before"
    assert len(calls) == 1 + 2  # what it starts from, and two recipes
    search = study.stage("search")
    assert [trial.recalled for trial in search[:4]] == [None, None, 2, 3]
    assert search[-1].scores == search[1].scores
    assert study.tables(search[-1].number) == study.tables(search[1].number)


@pytest.mark.parametrize("kind", ["deadline", "memory", "worker"])
def test_what_failed_for_reasons_that_pass_is_tried_again(study, kind):
    def failing(recipe):
        return Result(failure=Failure(kind, "too much"))

    run(study, Budget(trials=6), optimizer=Repeating(3), scorer=failing)
    assert {trial.recalled for trial in study.stage("search")} == {None}


def test_an_evaluator_that_varies_is_asked_again(study):
    run(study, Budget(trials=6), optimizer=Repeating(3), recalls=False)
    assert {trial.recalled for trial in study.stage("search")} == {None}


def test_hours_count_what_is_recorded_of_all_stages(study):
    hours = 20 / 3600  # seconds; a trial takes 3, what it starts from 3
    assert run(study, Budget(hours=hours)).startswith("the budget of")
    spent = sum(sum(trial.seconds.values()) for trial in study.trials)
    assert 20 <= spent < 24


def test_patience_counts_from_the_last_better_trial(study):
    run(study, Budget(trials=500, patience=7))
    values = [t.scores["sums"].value if t.scores else -1 for t in study.stage("search")]
    best = values.index(max(values))
    assert len(values) == best + 1 + 7


def test_a_target_ends_the_search(study):
    assert run(study, Budget(trials=500, target=0.99)) == "the target of 0.99 is reached"
    values = [t.scores["sums"].value for t in study.stage("search") if t.scores]
    assert values[-1] >= 0.99 > max(values[:-1])


def test_a_target_of_what_should_be_small_is_reached_from_above(study):
    def small(recipe):
        found = score(recipe)
        scores = {name: Score(1 - s.value, False, s.items) for name, s in found.scores.items()}
        return Result(scores, found.tables, found.failure, found.seconds)

    run(study, Budget(trials=500, target=0.01), scorer=small, goals=read_goals("sums"))
    values = [t.scores["sums"].value for t in study.stage("search") if t.scores]
    assert values[-1] <= 0.01 < min(values[:-1])


def test_an_optimizer_with_nothing_left_ends_the_search(study):
    assert run(study, TEN, optimizer=Chain(3, most=4)) == "it has proposed all it can"
    assert len(study.stage("search")) == 4


def test_another_seed_cannot_resume_unless_drift_is_accepted(study):
    run(study, Budget(trials=3))
    with pytest.raises(SearchError, match=r"trial 2 was recorded at \{'.*\}, but"):
        run(study, TEN, optimizer=Chain(4))
    run(study, TEN, optimizer=Chain(4), accept_drift=True)
    assert len(study.stage("search")) == 10


def test_other_baselines_cannot_resume(study, monkeypatch):
    run(study, Budget(trials=3))
    monkeypatch.setattr("tests.search.fakes.starts", list)
    with pytest.raises(SearchError, match="this study began with base, corner uniform, but"):
        run(study, TEN)


def test_rounding_errors_of_another_machine_are_no_drift(study):
    run(study, Budget(trials=3))

    class Rounding(Chain):
        def recall(self, number, point):
            asked = dict(self.ask(number))
            return {**asked, WEIGHT: asked[WEIGHT] + 5e-6}

    run(study, TEN, optimizer=Rounding(3))
    assert len(study.stage("search")) == 10
