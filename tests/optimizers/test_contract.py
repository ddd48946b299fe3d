"""Promises every optimizer keeps, with one trial at a time and with four ahead."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from evomerge.goals import FAILED, Outcome
from evomerge.trial import Point
from tests.optimizers.running import (
    ALL,
    LEARNING,
    SEARCHING,
    Run,
    Settings,
    beyond,
    largest_space,
    length,
    name_of,
    quadratic,
    weights,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=ALL, ids=name_of)
def settings(request) -> Settings:
    return request.param


@pytest.fixture(params=[1, 4], ids=["one", "ahead"])
def lookahead(request) -> int:
    return request.param


def run_of(settings: Settings, lookahead: int = 1, **kinds) -> Run:
    space = largest_space(settings)
    return Run(settings, space, quadratic(space), lookahead=lookahead, **kinds)


def test_points_lie_in_the_space(settings, lookahead):
    assert run_of(settings, lookahead).go(length(settings))  # Run.go checks each of them


def test_the_same_seed_proposes_the_same(settings, lookahead):
    run = run_of(settings, lookahead)
    assert run.go(length(settings)) == run.go(length(settings))


@pytest.mark.parametrize("settings", SEARCHING, ids=name_of)
def test_another_seed_proposes_something_else(settings):
    one, other = run_of(settings, seed=1).go(12), run_of(settings, seed=2).go(12)
    assert sum(a == b for a, b in zip(one, other, strict=True)) <= 1


def test_global_randomness_is_neither_used_nor_disturbed(settings, lookahead):
    trials = length(settings)
    before = run_of(settings, lookahead).go(trials)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002  the global one is what this is about
    torch.manual_seed(5)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    assert run_of(settings, lookahead).go(trials) == before
    assert random.getstate() == states[0]
    theirs = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(theirs, states[1], strict=True))
    assert torch.equal(torch.get_rng_state(), states[2])
    assert torch.get_num_threads() == threads


def test_nothing_is_printed_logged_or_written(settings, tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    run_of(settings).go(length(settings))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


def half_read(point: Point) -> Point:
    """The point as recorded where a recipe reads the first weight only if the second is large."""
    names = list(point)
    middle = 0.75
    return {**point, names[0]: middle} if float(point[names[1]]) < middle else dict(point)


def test_a_run_cut_at_any_trial_goes_on_as_if_it_had_not_been(settings, lookahead):
    run = run_of(settings, lookahead)
    whole = run.go(length(settings))
    for cut in range(len(whole)):
        end = min(cut + beyond(settings), len(whole))
        assert run.go(end, whole[:cut]) == whole[:end], cut


@pytest.mark.parametrize("settings", SEARCHING, ids=name_of)
def test_so_does_one_whose_recipes_do_not_read_every_value(settings, lookahead):
    run = run_of(settings, lookahead, settle=half_read)
    whole = run.go(length(settings))
    for cut in range(1, len(whole), 4):
        end = min(cut + beyond(settings), len(whole))
        assert run.go(end, whole[:cut]) == whole[:end], cut


@pytest.mark.parametrize("settings", SEARCHING, ids=name_of)
def test_so_does_one_with_warm_starts_constraints_and_failures(settings, lookahead):
    space = largest_space(settings)
    first = space.names[0]
    distance = quadratic(space)

    def score(point: Point) -> Outcome:
        if float(point[first]) > 1.2:
            return FAILED
        losses = distance(point).losses
        return Outcome(losses, max(0.0, float(point[first]) - 0.6))

    warm = [space.middle(), space.decode([0.1] * len(space)), space.decode([0.9] * len(space))]
    run = Run(
        settings, space, score, lookahead=lookahead, constrained=True, settle=half_read, warm=warm
    )
    whole = run.go(length(settings))
    for cut in range(2, len(whole), 5):
        end = min(cut + beyond(settings), len(whole))
        assert run.go(end, whole[:cut]) == whole[:end], cut


def scripted(run: Run, outcomes) -> Run:
    """Gives the outcomes in the order of the trials, whatever they propose."""
    given = iter(outcomes)
    known: dict[tuple, Outcome] = {}

    def score(point: Point) -> Outcome:
        return known.setdefault(tuple(point.values()), next(given))

    run.score = score
    return run


@pytest.mark.parametrize(
    "first",
    [FAILED, Outcome((1.0,)), Outcome((float("nan"),)), Outcome((1.0,), 2.0)],
    ids=["failed", "equal", "nan", "infeasible"],
)
def test_a_run_survives_that_all_trials_begin_alike(settings, lookahead, first):
    trials = length(settings)
    rest = [Outcome((float(i % 7),)) for i in range(trials)]
    run = run_of(settings, lookahead, constrained=first.violation > 0)
    points = scripted(run, [first] * (2 * trials // 3) + rest).go(trials)
    if settings in SEARCHING:
        assert len(points) == trials
        assert len({tuple(point.values()) for point in points}) > trials / 2


def test_a_run_survives_that_every_trial_fails(settings, lookahead):
    run = run_of(settings, lookahead)
    run.score = lambda point: FAILED
    assert run.go(length(settings))


@pytest.mark.parametrize("settings", LEARNING, ids=name_of)
def test_proposals_keep_to_what_is_allowed(settings, lookahead):
    space = weights(3, high=1.0)

    def score(point: Point) -> Outcome:
        one, two, three = (float(value) for value in point.values())
        return Outcome((-one - two - three,), max(0.0, one - 0.3) + max(0.0, two - 0.5))

    few = name_of(settings) == "gp"
    run = Run(settings, space, score, lookahead=lookahead, constrained=True)
    late = run.go(18)[-6:] if few else run.go(120)[-40:]
    allowed = [point for point in late if score(point).feasible]
    chance = 0.3 * 0.5
    assert len(allowed) / len(late) > 2 * chance


@pytest.mark.parametrize("settings", LEARNING, ids=name_of)
def test_warm_starts_that_hold_the_optimum_draw_proposals_near(settings, lookahead):
    space = weights(4)
    score = quadratic(space, at=0.2)
    warm = [space.decode([share] * 4) for share in np.linspace(0, 1, 11)]
    trials = 10 if name_of(settings) == "gp" else 30

    def late_mean(run: Run) -> float:
        return float(np.mean([score(point).losses for point in run.go(trials)[trials // 2 :]]))

    informed = late_mean(Run(settings, space, score, lookahead=lookahead, warm=warm))
    assert informed < 0.7 * late_mean(Run(settings, space, score, lookahead=lookahead))
