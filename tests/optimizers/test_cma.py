"""Promises of CMA-ES and CatCMA: where they start, what they learn from, and when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.front import front, hypervolume
from evomerge.goals import Outcome
from evomerge.optimizers.base import Setup, make_optimizer
from evomerge.optimizers.folding import folded
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space
from tests.optimizers.running import Run, quadratic, weights

FAMILY = ["cma", "catcma"]


def ask_many(settings, space: Space, count: int, warm=(), **kinds) -> np.ndarray:
    """The first proposals before anything is told: ``(count, dimensions)``, in the unit cube."""
    optimizer = make_optimizer(settings, Setup(space, 3, lookahead=count, **kinds))
    for point, outcome in warm:
        optimizer.warm(point, outcome)
    return np.array([space.encode(optimizer.ask(number)) for number in range(count)])


@pytest.mark.parametrize("name", FAMILY)
def test_it_starts_in_the_middle_with_the_sigma_it_is_given(name):
    cube = ask_many({"name": name, "sigma": 0.1}, weights(4), 400)
    assert cube.mean(axis=0) == pytest.approx(0.5, abs=0.02)
    assert cube.std(axis=0) == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("name", FAMILY)
def test_around_a_known_point_it_looks_less_far(name):
    space = weights(4)
    around = [(space.middle(), Outcome((0.0,)))]
    near, far = (ask_many({"name": name}, space, 200, warm).std() for warm in (around, ()))
    assert near == pytest.approx(0.1, rel=0.15)
    assert far == pytest.approx(0.2, rel=0.15)


@pytest.mark.parametrize("name", FAMILY)
def test_it_starts_at_the_best_feasible_warm_start(name):
    space = weights(4)
    warm = [
        (space.decode([0.2] * 4), Outcome((2.0,))),
        (space.decode([0.7] * 4), Outcome((1.0,))),
        (space.decode([0.9] * 4), Outcome((0.0,), violation=1.0)),
    ]
    cube = ask_many({"name": name, "sigma": 0.05}, space, 200, warm)
    assert cube.mean(axis=0) == pytest.approx(0.7, abs=0.02)


def test_a_start_that_the_user_names_goes_before_warm_starts():
    space = weights(3)
    warm = [(space.decode([0.9] * 3), Outcome((0.0,)))]
    settings = {"name": "cma", "sigma": 0.02, "x0": {space.names[0]: 0.3}}
    cube = ask_many(settings, space, 100, warm)
    assert cube.mean(axis=0) == pytest.approx([0.2, 0.5, 0.5], abs=0.02)


@pytest.mark.parametrize("name", FAMILY)
def test_from_a_corner_it_proposes_points_inside(name):
    # Folding: no weight on the edges, as clipping would put there.
    space = weights(30)
    cube = ask_many({"name": name, "sigma": 0.1}, space, 50, [(space.decode([0.0] * 30),
                    Outcome((0.0,)))])  # fmt: skip
    assert np.mean(cube == 0.0) < 0.01
    assert cube.max() < 0.6


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_folding_keeps_the_inside_and_is_continuous(values):
    vector = np.array(values)
    once = folded(vector)
    assert np.all((once >= 0) & (once <= 1))
    assert folded(once) == pytest.approx(once)
    assert folded(vector + 1e-6) == pytest.approx(once, abs=1.1e-6)
    assert folded(-vector) == pytest.approx(once)


@pytest.mark.parametrize("name", FAMILY)
def test_a_generation_has_at_least_as_many_trials_as_are_pending(name):
    settings = {"name": name, "population": 6}
    assert make_optimizer(settings, Setup(weights(), 0, lookahead=4)).population == 6
    assert make_optimizer(settings, Setup(weights(), 0, lookahead=16)).population == 16


@pytest.mark.parametrize("name", FAMILY)
def test_nothing_is_learned_before_a_whole_generation_is_told(name):
    """What the first trials of a generation gave changes nothing before the last is told."""
    space = weights(4)

    def ninth(loss: float, told: int) -> object:
        optimizer = make_optimizer({"name": name, "population": 8}, Setup(space, 0))
        for number in range(told):
            point = optimizer.ask(number)
            optimizer.tell(number, point, Outcome((loss * float(point[space.names[0]]),)))
        return optimizer.ask(told)

    assert ninth(1.0, 7) == ninth(-1.0, 7)
    assert ninth(1.0, 8) != ninth(-1.0, 8)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("lookahead", [1, 8])
def test_it_finds_the_bottom_of_a_bowl(name, lookahead):
    space = weights(6)
    run = Run({"name": name}, space, quadratic(space, at=0.15), lookahead=lookahead)
    late = [run.score(point).losses[0] for point in run.go(400)[-20:]]
    assert np.mean(late) < 0.05
    assert min(late) < 0.01


def test_several_objectives_end_in_points_along_the_front():
    space = weights(8, high=1.0)
    ends = np.array([[0.2] + [0.5] * 7, [0.8] + [0.5] * 7])

    def score(point) -> Outcome:
        away = np.array(space.encode(point)) - ends
        return Outcome(tuple((away**2).sum(axis=1).tolist()))

    def losses(settings) -> np.ndarray:
        run = Run(settings, space, score, objectives=2)
        return np.array([score(point).losses for point in run.go(200)])

    ours, chance = losses({"name": "cma"}), losses({"name": "optuna", "sampler": "random"})
    assert hypervolume(ours, (0.5, 0.5)) > 1.3 * hypervolume(chance, (0.5, 0.5))
    # The best for one skill alone has a loss of .36 in the other: this is not one point between.
    assert np.ptp(ours[front(ours)], axis=0).min() > 0.05


def test_above_the_limit_it_learns_scales_but_no_correlations():
    def last(diagonal_above: int) -> object:
        space = weights(4)
        run = Run({"name": "cma", "diagonal_above": diagonal_above}, space, quadratic(space))
        return run.go(60)[-1]

    assert last(4) == last(100)
    assert last(3) == last(0)
    assert last(3) != last(4)


def test_choices_of_the_best_warm_start_are_likely_at_first():
    space = Space((*weights(2).dimensions, ChoiceDimension("m", ("a", "b", "c"))))
    best = {**space.middle(), "m": "b"}
    drawn = ask_many({"name": "catcma"}, space, 300, [(best, Outcome((0.0,)))])
    plain = ask_many({"name": "catcma"}, space, 300)
    assert np.mean(drawn[:, 2] == 0.5) > 0.45
    assert np.mean(plain[:, 2] == 0.5) == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize(
    "dimensions",
    [
        [ChoiceDimension("m", ("a", "b", "c"))],
        [IntDimension("k", 1, 5)],
        [FloatDimension("x", 0, 1)],
        [IntDimension("k", 1, 2), ChoiceDimension("m", ("a", "b"))],
        [FloatDimension("x", 1, 1), FloatDimension("y", 0, 1)],
    ],
    ids=["choice", "int", "float", "discrete", "fixed"],
)
def test_spaces_of_one_kind_can_be_searched(dimensions):
    space = Space(tuple(dimensions))
    score = quadratic(space, at=0.1)
    best = min(score(point).losses[0] for point in Run({"name": "catcma"}, space, score).go(40))
    everything = np.linspace(0, 1, 201)
    reachable = min(score(space.decode([u] * len(space))).losses[0] for u in everything)
    assert best == pytest.approx(reachable, abs=0.01)


@pytest.mark.parametrize("count", [1, 2])
def test_few_dimensions_can_be_searched(count):
    space = weights(count)
    run = Run({"name": "cma"}, space, quadratic(space))
    assert run.score(run.go(80)[-1]).losses[0] < 0.01


@pytest.mark.parametrize("name", FAMILY)
def test_a_recorded_point_that_drifted_takes_the_place_of_the_one_asked(name):
    """As on another machine: what is told belongs to the recorded point."""
    space = weights(3)
    settings = {"name": name, "population": 6}

    def seventh(shift: float) -> np.ndarray:
        optimizer = make_optimizer(settings, Setup(space, 0))
        for number in range(6):
            asked = make_optimizer(settings, Setup(space, number + 10)).ask(0)
            point = {key: min(value + shift, 1.5) for key, value in asked.items()}
            optimizer.recall(number, point)
            optimizer.tell(number, point, Outcome((-float(point[space.names[0]]),)))
        return np.array(space.encode(optimizer.ask(6)))

    assert not np.allclose(seventh(0.0), seventh(0.3))
