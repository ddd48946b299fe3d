"""Promises of the Pareto front, and Optuna's as an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _fast_non_domination_rank

from evomerge.front import dominates, domination_counts, front, hypervolume, layers


@st.composite
def losses(draw: st.DrawFn, most: int = 12, objectives: int | None = None):
    """Small whole numbers, so that ties and equal rows are ordinary."""
    rows = draw(st.integers(1, most))
    columns = objectives or draw(st.integers(1, 4))
    return draw(arrays(np.float64, (rows, columns), elements=st.integers(0, 4).map(float)))


@st.composite
def constrained(draw: st.DrawFn):
    points = draw(losses())
    violations = st.sampled_from([0.0, 0.0, 0.5, 2.0])
    return points, draw(arrays(np.float64, len(points), elements=violations))


@given(constrained())
def test_nothing_on_the_front_is_dominated_and_all_that_is_not_is_on_it(case):
    points, violations = case
    feasible = [i for i in range(len(points)) if violations[i] == 0]
    expected = [i for i in feasible if not any(dominates(points[j], points[i]) for j in feasible)]
    assert front(points, violations).tolist() == expected


@given(losses(), st.floats(0.5, 3), st.floats(-5, 5))
def test_the_front_does_not_mind_how_objectives_are_scaled(points, factor, offset):
    assert front(points * factor + offset).tolist() == front(points).tolist()


def test_a_failed_candidate_is_never_on_the_front_and_hides_no_other():
    points = [[np.nan, 0.0], [1.0, 1.0], [0.0, np.inf], [-np.inf, 0.0]]
    assert front(points).tolist() == [1]
    assert domination_counts(points).tolist() == [1, 0, 1, 1]


def test_an_empty_front():
    assert front(np.empty((0, 2))).tolist() == []
    assert front([[1.0, 2.0]], [0.1]).tolist() == []
    assert hypervolume(np.empty((0, 2)), (1, 1)) == 0.0


def test_equal_rows_are_on_the_front_together():
    assert front([[1, 2], [1, 2], [2, 1], [2, 2]]).tolist() == [0, 1, 2]


def test_less_violation_dominates_better_losses():
    counts = domination_counts([[5, 5], [1, 1], [0, 0], [0, 0]], [0, 0.1, 0.2, 0.2])
    assert counts.tolist() == [0, 1, 2, 2]


@given(constrained())
def test_counts_are_those_of_the_definition(case):
    points, violations = case

    def beats(i: int, j: int) -> bool:
        if violations[i] == violations[j] == 0:
            return dominates(points[i], points[j])
        return bool(violations[i] < violations[j])

    expected = [sum(beats(i, j) for i in range(len(points))) for j in range(len(points))]
    assert domination_counts(points, violations).tolist() == expected
    assert domination_counts(points, violations, (points, violations)).tolist() == expected


def test_counts_among_others_do_not_count_each_other():
    assert domination_counts([[1, 1], [2, 2]], among=([[0, 0], [1.5, 1.5]], [0, 0])).tolist() == [
        1,
        2,
    ]


@given(constrained())
def test_layers_are_optunas(case):
    points, violations = case
    theirs = _fast_non_domination_rank(points, penalty=violations)
    assert layers(points, violations).tolist() == theirs.tolist()


@given(losses())
def test_the_first_layer_is_the_front(points):
    assert np.flatnonzero(layers(points) == 0).tolist() == front(points).tolist()


@given(losses(most=10))
def test_the_hypervolume_is_optunas(points):
    reference = np.full(points.shape[1], 4.0)
    below = points[(points <= reference).all(axis=1)]
    theirs = compute_hypervolume(below, reference) if len(below) else 0.0
    assert hypervolume(points, reference) == pytest.approx(theirs)


@given(losses(most=6, objectives=3), st.data())
def test_a_further_point_never_takes_volume_away(points, data):
    further = data.draw(losses(most=1, objectives=3))
    reference = (5.0, 5.0, 5.0)
    assert hypervolume(np.vstack([points, further]), reference) >= hypervolume(points, reference)


def test_the_volume_of_two_rectangles_that_overlap():
    assert hypervolume([[0, 2], [1, 1], [9, 9]], (3, 3)) == pytest.approx(3 + 4 - 2)


def test_the_volume_of_two_boxes_that_overlap():
    # 2·2·1 and 1·1·3 share 1·1·1.
    assert hypervolume([[0, 0, 2], [1, 1, 0]], (2, 2, 3)) == pytest.approx(4 + 3 - 1)


def test_points_beyond_the_reference_add_nothing():
    assert hypervolume([[0, 5], [5, 0], [3, 3]], (3, 3)) == 0.0
