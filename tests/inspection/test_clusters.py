"""Planted clusters are found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.inspection.clusters import SMALL, THRESHOLDS, clusters
from evomerge.inspection.correlation import correlations

seeds = st.integers(0, 10**6)


def sets(found):
    return {(frozenset(first.tolist()), frozenset(second.tolist())) for first, second in found.many}


def planted(seed, units=12):
    """Units 3 and 7 of the first model are mixed in units 0 and 4 of the second."""
    random = np.random.default_rng(seed)
    first = random.normal(size=(2000, units))
    second = random.normal(size=(2000, units))
    second[:, 1] = first[:, 1] + 0.3 * second[:, 1]
    second[:, 0] = first[:, 3] + first[:, 7]
    second[:, 4] = first[:, 3] - first[:, 7]
    return first, second


@given(seed=seeds)
def test_two_units_that_are_mixed_in_two_are_a_cluster(seed):
    found = clusters(correlations(*planted(seed), signed=False))
    assert sets(found) == {(frozenset({3, 7}), frozenset({0, 4}))}
    assert found.single == 1
    assert found.threshold == 0.5


@given(seed=seeds)
def test_any_order_has_the_same_clusters(seed):
    alike = correlations(*planted(seed), signed=False)
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(12), random.permutation(12)
    found = clusters(alike[np.ix_(rows, columns)])
    ((first, second),) = found.many
    assert set(rows[first]) == {3, 7}
    assert set(columns[second]) == {0, 4}


@given(alike=st.lists(st.floats(0, 1), min_size=60, max_size=60))
def test_swapping_the_models_swaps_the_sides(alike):
    square = np.array(alike).reshape(10, 6)
    one, other = clusters(square), clusters(square.T)
    assert one.threshold == other.threshold
    assert one.single == other.single
    assert sets(one) == {(first, second) for second, first in sets(other)}


@given(alike=st.lists(st.floats(0, 1), min_size=72, max_size=72))
def test_they_are_the_components_of_a_graph(alike):
    """By another way: units are joined as long as something joins them."""
    square = np.array(alike).reshape(9, 8)
    found = clusters(square)
    joined = square >= found.threshold
    reached = (joined @ joined.T + np.eye(9)).astype(bool)
    for _ in range(9):
        reached = reached @ reached
    expected = {
        (frozenset(np.flatnonzero(row)), frozenset(np.flatnonzero(joined[row].any(0))))
        for row in reached
    }
    assert sets(found) == {each for each in expected if min(map(len, each)) > 1}


def test_the_threshold_rises_until_no_cluster_is_large():
    alike = np.full((60, 60), 0.62)  # all of one kind
    alike[:3, :3] = 0.9
    found = clusters(alike)
    assert found.threshold == 0.65
    assert sets(found) == {(frozenset(range(3)), frozenset(range(3)))}
    # Not for a cluster that is small for so many units.
    alike = np.zeros((60, 60))
    alike[:6, :6] = 0.51
    assert clusters(alike).threshold == 0.5
    alike[:7, :7] = 0.51
    assert clusters(alike).threshold == 0.55
    assert clusters(alike).many == ()


def test_of_few_units_a_few_may_be_a_cluster():
    assert len(clusters(np.ones((SMALL, SMALL))).many) == 1
    many = np.ones((SMALL + 1, SMALL + 1))
    found = clusters(many)
    assert found.threshold == THRESHOLDS[-1] == pytest.approx(0.95)
    assert len(found.many) == 1


def test_one_with_many_is_no_many_to_many():
    alike = np.zeros((5, 5))
    alike[0, :3] = 0.8
    alike[4, 4] = 0.8
    found = clusters(alike)
    assert found.many == ()
    assert found.single == 1
