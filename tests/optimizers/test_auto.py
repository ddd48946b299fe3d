"""Which optimizer is picked, and what is said about it."""

from __future__ import annotations

import pytest

from evomerge.optimizers.auto import advice, choose_optimizer
from evomerge.optimizers.base import Setup, make_optimizer
from evomerge.space import ChoiceDimension, Space
from tests.optimizers.running import name_of, weights


def mixed(count: int) -> Space:
    return Space((*weights(count).dimensions, ChoiceDimension("m", ("a", "b"))))


@pytest.mark.parametrize("count", [1, 8, 26])
@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("budget", [20, 200, 5000, None])
@pytest.mark.parametrize("kind", [weights, mixed])
def test_what_is_picked_can_search_the_space_and_the_reason_names_it(
    kind, count, objectives, budget
):
    space = kind(count)
    settings, reason = choose_optimizer(space, objectives, budget)
    assert make_optimizer(settings, Setup(space, 0, objectives))
    assert f"{len(space)} dimension" in reason
    # What it picks for long searches stays fast.
    assert list(advice(settings, budget)) == []


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("budget", [100, None])
@pytest.mark.parametrize("kind", [weights, mixed])
def test_stacks_of_layers_are_for_the_one_that_knows_them(kind, objectives, budget):
    settings, reason = choose_optimizer(kind(8), objectives, budget, 1)
    assert name_of(settings) == "ga"
    assert make_optimizer(settings, Setup(kind(8), 0, objectives))
    assert "that write down 1 stack of layers: a genetic algorithm" in reason


def test_a_long_search_with_a_gaussian_process_is_warned_of():
    settings = {"name": "optuna", "sampler": "gp"}
    assert "500 trials, and this budget is 501" in next(advice(settings, 501))
    assert list(advice(settings, 500)) == []
    assert list(advice({"name": "cma"}, 5000)) == []


@pytest.mark.parametrize(
    ("space", "objectives", "budget", "name"),
    [
        (weights(20), 1, 300, "gp"),
        (mixed(19), 1, 100, "gp"),
        (weights(20), 1, 301, "cma"),
        (weights(20), 1, None, "cma"),
        (weights(21), 1, 100, "cma"),
        (weights(8), 2, 100, "cma"),
        (mixed(26), 1, 100, "catcma"),
        (mixed(26), 2, 100, "tpe"),
    ],
)
def test_it_is_the_one_that_the_benchmark_found_ahead(space, objectives, budget, name):
    assert name_of(choose_optimizer(space, objectives, budget)[0]) == name
