"""Settings that cannot be followed are refused, with what could be."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.optimizers.base import Setup, make_optimizer, optimizers
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space
from tests.optimizers.running import ALL, largest_space, name_of, weights


@pytest.mark.parametrize("settings", ALL, ids=name_of)
def test_every_optimizer_is_made_from_its_settings(settings):
    assert make_optimizer(settings, Setup(largest_space(settings), seed=0))


def test_those_of_the_issue_are_there():
    assert {"cma", "catcma", "optuna", "greedy_soup"} <= set(optimizers)


def choices() -> Space:
    return Space((ChoiceDimension("merge_method", ("ties", "dare_ties")),))


@pytest.mark.parametrize(
    ("settings", "setup", "message"),
    [
        ({"name": "cmaes"}, Setup(weights(), 0), "unknown optimizer 'cmaes'; did you mean 'cma'"),
        ({"name": "cma", "sigm": 1}, Setup(weights(), 0), "unknown key 'sigm'; did you mean"),
        ({"name": "cma"}, Setup(choices(), 0), "is one; these do: catcma, ga, optuna"),
        ({"name": "catcma"}, Setup(weights(), 0, 2), "takes 1 objective, not 2; give weights"),
        ({"name": "cma"}, Setup(Space(()), 0), "nothing to search; the recipe has no holes"),
        ({"name": "cma", "sigma": 0}, Setup(weights(), 0), "optimizer.sigma: found 0; expected"),
        ({"name": "cma", "sigma": "big"}, Setup(weights(), 0), "found 'big'; expected a number"),
        ({"name": "cma", "sigma": True}, Setup(weights(), 0), "found True; expected a number"),
        ({"name": "cma", "population": 2}, Setup(weights(), 0), "optimizer.population: found 2"),
        ({"name": "cma", "population": 8.5}, Setup(weights(), 0), "expected a whole number"),
        ({"name": "cma", "x0": {"weigt": 1}}, Setup(weights(), 0), "unknown dimension 'weigt'"),
        ({"name": "cma", "x0": 0.5}, Setup(weights(), 0), "found 0.5; expected values by"),
        ({"name": "optuna", "sampler": "nsga"}, Setup(weights(), 0), "did you mean 'nsga"),
        ({"name": "optuna", "sampler": "gp", "population": 9}, Setup(weights(), 0), "gp has none"),
        ({"name": "greedy_soup"}, Setup(choices(), 0), "takes no choices"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(settings, setup, message):
    with pytest.raises(RecipeError, match=r"^optimizer") as caught:
        make_optimizer(settings, setup)
    assert message in str(caught.value)


def test_a_value_outside_of_its_dimension_is_no_start():
    space = Space((FloatDimension("a", 0, 1), IntDimension("b", 1, 4)))
    with pytest.raises(RecipeError, match=r"optimizer\.x0\.b: found 9"):
        make_optimizer({"name": "cma", "x0": {"b": 9}}, Setup(space, 0))
