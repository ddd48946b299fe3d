"""Promises of importances: they find what matters, and do not invent it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
import pytest

from evomerge.goals import Goals
from evomerge.report.importance import ENOUGH, importances
from evomerge.trial import BASELINES, Point, Trial
from tests.report.trials import APART, ONE, failed, trial


def points(count: int, **options: tuple) -> list[dict]:
    """Random points; a dimension is a range, or options to choose from."""
    rng = np.random.default_rng(0)
    draw: Callable = lambda span: (  # noqa: E731
        str(rng.choice(span)) if isinstance(span[0], str) else float(rng.uniform(*span))
    )
    return [{name: draw(span) for name, span in options.items()} for _ in range(count)]


def searched(given: list[dict], worth: Callable[[Point], float]) -> list[Trial]:
    return [trial(n, point=at, values={"sums": worth(at)}) for n, at in enumerate(given)]


def test_the_dimension_that_matters_is_found():
    at = points(60, weight=(0, 1), density=(0, 1))
    found = importances(searched(at, lambda p: -abs(float(p["weight"]) - 0.7)), ONE)
    assert found is not None
    assert list(found) == ["weight", "density"]
    assert found["weight"] > 0.9
    assert sum(found.values()) == pytest.approx(1)


def test_an_objective_to_be_lowered_is():
    at = points(60, weight=(0, 1), density=(0, 1))
    trials = [
        trial(n, point=p, values={"prose": (p["density"] - 1) ** 2}) for n, p in enumerate(at)
    ]
    found = importances(trials, Goals({"prose": 1.0}))
    assert found is not None
    assert next(iter(found)) == "density"


def test_choices_count_too():
    at = points(60, weight=(0, 1), method=("ties", "slerp", "linear"))
    found = importances(searched(at, lambda p: float(p["method"] == "slerp")), ONE)
    assert found is not None
    assert next(iter(found)) == "method"


def test_where_objectives_stay_apart_what_leads_to_the_front_matters():
    at = points(60, weight=(0, 1), density=(0, 1))
    trials = [
        trial(n, point=p, values={"sums": p["weight"], "words": p["weight"] / 2})
        for n, p in enumerate(at)
    ]
    found = importances(trials, APART)
    assert found is not None
    assert next(iter(found)) == "weight"


@pytest.mark.parametrize(
    "trials",
    [
        searched(points(ENOUGH - 1, weight=(0, 1)), lambda p: 1.0),
        [failed(n) for n in range(ENOUGH)],
        [trial(n, BASELINES, values={"sums": 0.5}) for n in range(ENOUGH)],
        searched([{"weight": 0.5}] * ENOUGH, lambda p: 1.0),
    ],
    ids=["few trials", "failures", "baselines", "one point"],
)
def test_where_nothing_can_be_said_nothing_is(trials):
    assert importances(trials, ONE) is None


def test_a_dimension_that_never_varied_has_no_importance():
    at = [{**p, "fixed": 1.0} for p in points(ENOUGH, weight=(0, 1))]
    found = importances(searched(at, lambda p: float(p["weight"])), ONE)
    assert found is not None
    assert list(found) == ["weight"]


def test_what_writes_down_a_stack_is_left_out():
    at = points(ENOUGH, **{"weight": (0, 1), "slices.stack[0].scale": (0, 1)})
    found = importances(searched(at, lambda p: float(p["slices.stack[0].scale"])), ONE)
    assert found is not None
    assert list(found) == ["weight"]


def test_the_same_trials_give_the_same_numbers_and_optuna_is_left_as_it_was():
    trials = searched(points(40, weight=(0, 1), density=(0, 1)), lambda p: float(p["weight"]))
    level = optuna.logging.get_verbosity()
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global one must not be touched
    assert importances(trials, ONE) == importances(trials, ONE)
    assert optuna.logging.get_verbosity() == level
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
