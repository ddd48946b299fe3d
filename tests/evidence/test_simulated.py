"""How often verdicts are right in simulated searches; `benchmarks/verdicts.py` has more of them."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from benchmarks.verdicts import Case, Family, runs_with_gain

RUNS = 80
# What is allowed, and what is promised.
FALSE, POWER = 0.05, 0.8


@pytest.mark.parametrize(
    "case",
    [
        Case("1 equal parent", Family(1), 5),
        Case("4 equal parents", Family(4), 5),
        Case("2 objectives", Family(1, tasks=2, items=150), 3, draws=400),
        Case("bits per byte", Family(1, items=60, kind="text"), 3, draws=400),
    ],
    ids=lambda case: case.name,
)
def test_a_gain_is_rarely_claimed_where_there_is_none(case):
    """More often than this happens to one in a thousand, if it happens in 5 % of runs."""
    assert runs_with_gain(case, RUNS) <= binom(RUNS, FALSE).ppf(0.999)


@pytest.mark.parametrize("differ", [0.08, 0.15])
def test_a_true_gain_of_five_points_on_500_items_is_found(differ):
    found = runs_with_gain(Case("better", Family(1, 0.05, differ), 1), RUNS)
    assert found >= binom(RUNS, POWER).ppf(0.001)


def test_a_gain_that_nobody_could_see_is_not_claimed_often():
    """A test that always says "gain" would pass the one above."""
    found = runs_with_gain(Case("hardly better", Family(1, 0.005, 0.15), 1), RUNS)
    assert found <= binom(RUNS, 0.15).ppf(0.999)
