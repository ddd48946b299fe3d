"""Promises of the greedy soup."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from evomerge.errors import RecipeError
from evomerge.goals import FAILED, Outcome
from evomerge.optimizers.base import Exhausted, Setup, make_optimizer
from evomerge.space import FloatDimension, IntDimension, Space
from evomerge.trial import Point
from tests.optimizers.running import Run, weights

SOUP = {"name": "greedy_soup"}


def members(point: Point) -> str:
    """The models of a soup, by the letters of their names."""
    return "".join(name[7] for name, weight in point.items() if weight)


def scripted(losses: Mapping[str, float], count: int = 3, **kinds) -> Run:
    """A run whose soups have the losses that are written down."""
    space = weights(count)
    return Run(SOUP, space, lambda point: Outcome((losses[members(point)],)), **kinds)


def test_models_alone_then_soups_that_grow_best_first():
    # c is best alone, then a, then b. With a the soup gets better; with b it gets worse.
    run = scripted({"a": 2, "b": 3, "c": 1, "ac": 0.5, "abc": 0.7})
    assert [members(point) for point in run.go(99)] == ["a", "b", "c", "ac", "abc"]


def test_a_model_that_makes_it_worse_is_left_out_of_later_soups():
    run = scripted({"a": 1, "b": 2, "c": 3, "ab": 1.5, "ac": 0.9})
    assert [members(point) for point in run.go(99)] == ["a", "b", "c", "ab", "ac"]


def test_not_worse_is_enough():
    run = scripted({"a": 1, "b": 2, "c": 3, "ab": 1, "abc": 1})
    assert [members(point) for point in run.go(99)] == ["a", "b", "c", "ab", "abc"]


def test_members_have_equal_shares_that_sum_to_one():
    for point in scripted({"a": 1, "b": 1, "c": 1, "ab": 1, "abc": 1}).go(99):
        used = [weight for weight in point.values() if weight]
        assert used == pytest.approx([1 / len(used)] * len(used), abs=1e-6)


def test_whole_weights_are_zero_or_one():
    space = Space(tuple(IntDimension(f"models[{name}].parameters.weight", 0, 1) for name in "ab"))
    points = Run(SOUP, space, lambda point: Outcome((0.0,))).go(99)
    assert [tuple(point.values()) for point in points] == [(1, 0), (0, 1), (1, 1)]
    assert all(type(value) is int for point in points for value in point.values())


def test_it_ends_and_says_what_it_found():
    optimizer = make_optimizer(SOUP, Setup(weights(2), 0))
    for number, loss in enumerate((2.0, 1.0, 3.0)):
        optimizer.tell(number, optimizer.ask(number), Outcome((loss,)))
    for _ in range(2):
        with pytest.raises(Exhausted, match=r"the best soup is models\[b\]"):
            optimizer.ask(3)


def test_models_scored_as_warm_starts_are_not_proposed_again():
    space = weights(3)
    alone = [{name: float(name == own) for name in space.names} for own in space.names]
    losses = {"a": 2, "b": 3, "c": 1, "ac": 0.5, "abc": 0.7}
    run = scripted(losses, warm=alone)
    assert [members(point) for point in run.go(99)] == ["ac", "abc"]


def test_a_model_that_failed_comes_last_and_does_not_join():
    losses = {"a": 2.0, "c": 1.0, "ac": 0.5, "abc": 0.9}
    space = weights(3)

    def score(point: Point) -> Outcome:
        return FAILED if members(point) == "b" else Outcome((losses[members(point)],))

    assert [members(point) for point in Run(SOUP, space, score).go(99)][-1] == "abc"


@pytest.mark.parametrize("lookahead", [1, 2, 4, 9])
def test_the_soup_is_better_than_the_best_model_whatever_is_pending(lookahead):
    vectors = np.random.default_rng(0).normal(1.0, 1.0, (5, 20))

    def score(point: Point) -> Outcome:
        shares = np.array(list(point.values()))
        merged = shares @ vectors / shares.sum()
        return Outcome((float(((merged - 1.0) ** 2).mean()),))

    run = Run(SOUP, weights(5), score, lookahead=lookahead)
    losses = [score(point).losses[0] for point in run.go(99)]
    assert len(losses) <= 5 + 4 * lookahead
    assert min(losses) < 0.6 * min(losses[:5])


@pytest.mark.parametrize(
    "odd",
    [
        FloatDimension("models[a].parameters.density", 0.0, 1.0),
        FloatDimension("models[a].parameters.weight[mlp]", 0.0, 1.0),
        FloatDimension("models[a].parameters.weight", 0.1, 1.0),
        FloatDimension("models[a].parameters.weight", 0.0, 0.5),
    ],
    ids=["density", "part", "never-out", "never-whole"],
)
def test_a_space_that_is_not_one_weight_for_each_model_is_refused(odd):
    with pytest.raises(RecipeError, match="one weight for each model") as caught:
        make_optimizer(SOUP, Setup(Space((odd,)), 0))
    assert odd.name in str(caught.value)
