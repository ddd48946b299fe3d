"""What of Optuna's samplers is our promise: history, generations, constraints, seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import optuna
import pytest

from evomerge.goals import FAILED, Outcome
from evomerge.optimizers.base import Setup, make_optimizer
from evomerge.optimizers.optuna_history import VIOLATION, History
from evomerge.optimizers.quiet import Quiet
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space
from tests.optimizers.running import Run, largest_space, quadratic, weights

MIXED = Space(
    (
        FloatDimension("x", 0.0, 1.5),
        FloatDimension("rate", 1e-4, 1.0, log=True),
        FloatDimension("fixed", 2.0, 2.0),
        IntDimension("k", 1, 5),
        ChoiceDimension("m", ("a", "b")),
        ChoiceDimension("only", ("z",)),
    )
)


@pytest.fixture
def history() -> Iterator[History]:
    with Quiet()():  # Optuna announces every study
        yield History(MIXED, 1)


def trials(history: History) -> list[optuna.trial.FrozenTrial]:
    return history._study.get_trials(deepcopy=False)


def test_a_trial_that_was_entered_equals_one_that_was_asked(history):
    asked, point = history.ask(optuna.samplers.RandomSampler(seed=4))
    history.move(asked, point)
    entered = history.enter(point)
    one, other = trials(history)
    assert one.params == other.params
    assert one.state == other.state == optuna.trial.TrialState.RUNNING
    assert set(one.params) == {"x", "rate", "k", "m"}
    assert (asked.number, entered.number) == (0, 1)


def test_floats_stand_in_the_unit_interval_and_come_back_as_they_were(history):
    point = {**MIXED.middle(), "x": 0.3, "rate": 0.01, "k": 4, "m": "b"}
    history.enter(point)
    recorded = trials(history)[0].params
    assert recorded == {"x": pytest.approx(0.2), "rate": pytest.approx(0.5), "k": 4, "m": "b"}


def test_a_trial_is_completed_where_it_was_recorded(history):
    point = MIXED.middle()
    trial = history.enter({**point, "x": 0.1, "m": "b"})
    history.finish(trial, {**point, "x": 0.9, "m": "a"}, (2.0,), 0.25)
    done = trials(history)[0]
    assert done.params["x"] == pytest.approx(0.6)
    assert done.params["m"] == "a"
    assert done.values == [2.0]
    assert done.constraints == {VIOLATION: 0.25}


def test_failures_before_any_loss_are_failures_and_later_ones_stand_for_the_worst():
    optimizer = make_optimizer({"name": "optuna", "sampler": "tpe"}, Setup(weights(2), 0))
    told = [FAILED, Outcome((3.0,)), Outcome((1.0,)), FAILED]
    for number, outcome in enumerate(told):
        optimizer.tell(number, optimizer.ask(number), outcome)
    values = [trial.values for trial in trials(optimizer._history)]
    assert values == [None, [3.0], [1.0], [3.0]]


def test_without_constraints_none_are_modelled():
    for constrained in (False, True):
        setup = Setup(weights(2), 0, constrained=constrained)
        optimizer = make_optimizer({"name": "optuna", "sampler": "tpe"}, setup)
        optimizer.tell(0, optimizer.ask(0), Outcome((1.0,)))
        (trial,) = trials(optimizer._history)
        assert trial.constraints == ({VIOLATION: 0.0} if constrained else {})


def test_random_points_fill_the_space():
    points = Run({"name": "optuna", "sampler": "random"}, MIXED, quadratic(MIXED)).go(200)
    cube = np.array([MIXED.encode(point) for point in points])
    assert cube[:, [0, 1, 3, 4]].mean(axis=0) == pytest.approx(0.5, abs=0.08)
    assert cube[:, :2].std(axis=0) == pytest.approx(12**-0.5, rel=0.15)


def test_quasi_random_points_fill_it_more_evenly():
    space = weights(2)

    def fullest(sampler: str) -> int:
        points = Run({"name": "optuna", "sampler": sampler}, space, quadratic(space)).go(64)
        cube = np.array([space.encode(point) for point in points])
        return int(np.histogram2d(*cube.T, bins=8, range=[[0, 1], [0, 1]])[0].max())

    # A Sobol sequence puts one of its first 64 points into each of 64 squares.
    assert fullest("qmc") == 1
    assert fullest("random") > 1


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
@pytest.mark.parametrize("objectives", [1, 3])
def test_children_come_of_the_best_of_the_generation_before(sampler, objectives):
    """Most values of a later trial are those of a good trial before it."""
    settings = {"name": "optuna", "sampler": sampler, "population": 10}
    space = weights(6)

    def score(point) -> Outcome:
        ends = np.array(space.encode(point)) - np.linspace(0.2, 0.8, objectives)[:, None]
        return Outcome(tuple((ends**2).sum(axis=1).tolist()))

    points = Run(settings, space, score, objectives=objectives).go(40)
    first = {(name, point[name]) for point in points[:10] for name in space.names}
    shared = [(name, point[name]) in first for point in points[10:20] for name in space.names]
    assert np.mean(shared) > 0.7


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp"])
def test_two_objectives_are_searched_and_resumed(sampler):
    settings = {"name": "optuna", "sampler": sampler}
    space = largest_space(settings)

    def score(point) -> Outcome:
        low, high = (quadratic(space, at)(point).losses[0] for at in (0.2, 0.8))
        return Outcome((low, high))

    run = Run(settings, space, score, objectives=2, lookahead=2)
    whole = run.go(12)
    assert run.go(12, whole[:11]) == whole
