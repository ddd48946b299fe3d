"""Assignments are the best there are, with SciPy and without."""

from __future__ import annotations

import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from evomerge.alignment import assignment
from evomerge.alignment.assignment import augmented, best_assignment


def total(gains: np.ndarray, columns: np.ndarray) -> float:
    assert sorted(columns) == list(range(len(gains)))
    return float(gains[np.arange(len(gains)), columns].sum())


@given(st.integers(1, 5).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.integers(-9, 9))))
def test_no_assignment_is_better(whole):
    gains = whole.astype(float)
    best = max(total(gains, np.array(order)) for order in permutations(range(len(gains))))
    assert total(gains, best_assignment(gains)) == best
    assert total(gains, augmented(gains)) == best


@pytest.mark.parametrize("seed", range(3))
def test_without_scipy_it_is_as_good(seed):
    gains = np.random.default_rng(seed).normal(size=(80, 80))
    exact = total(gains, linear_sum_assignment(gains, maximize=True)[1])
    assert total(gains, augmented(gains)) == pytest.approx(exact)


def greedy(gains: np.ndarray) -> np.ndarray:
    """Row by row, the best column that is left."""
    left, columns = set(range(len(gains))), []
    for row in gains:
        columns.append(max(left, key=row.__getitem__))
        left.remove(columns[-1])
    return np.array(columns)


def test_the_fallback_recovers_what_row_by_row_does_not():
    random = np.random.default_rng(0)
    first = random.normal(size=(60, 20))
    order = random.permutation(60)
    gains = first @ (first[order] + 1.4 * random.normal(size=(60, 20))).T
    assert total(gains, augmented(gains)) > total(gains, greedy(gains)) * 1.01
    right = np.argsort(order)
    assert (augmented(gains) == right).mean() > (greedy(gains) == right).mean()


def test_a_missing_scipy_is_no_obstacle(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    gains = np.array([[3.0, 2.0], [2.9, 0.0]])
    assert assignment.best_assignment(gains).tolist() == [1, 0]


def test_distinct_best_columns_need_no_solver(monkeypatch):
    monkeypatch.setattr(assignment, "augmented", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert best_assignment(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist() == [1, 0]


def test_equal_units_stay():
    assert best_assignment(np.ones((4, 4))).tolist() == [0, 1, 2, 3]
