"""Promises of multislerp: mergekit's mean of directions, and the true step towards Karcher's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import MergeError
from tests.methods.in_memory import family, merged

WEIGHTS = st.lists(st.floats(0.25, 4, width=32), min_size=2, max_size=5)


def multislerp(models, weights, **options):
    arrays = [np.array(x, np.float32) for x in models]
    return merged("multislerp", arrays, weight=list(weights), **options)


def siblings(seed, count, change=0.5):
    base, others = family(seed, (6, 7), count - 1, change=change)
    return [base, *others]


def lengths(models):
    return [np.linalg.norm(model) for model in models]


@given(st.integers(0, 99), WEIGHTS)
def test_as_in_mergekit_it_is_the_mean_of_directions(seed, weights):
    models = siblings(seed, len(weights))
    directions = [model / np.linalg.norm(model) for model in models]
    mean = np.average(directions, axis=0, weights=weights)
    expected = mean / np.linalg.norm(mean) * np.average(lengths(models), weights=weights)
    np.testing.assert_allclose(multislerp(models, weights), expected, atol=1e-5)


@given(st.integers(0, 99), WEIGHTS)
def test_a_true_step_comes_nearer_to_the_karcher_mean(seed, weights):
    models = siblings(seed, len(weights), change=1.0)
    exact = merged("karcher", models, weight=weights, max_iter=100, tol=1e-9)
    plain, stepped = multislerp(models, weights), multislerp(models, weights, map="log")
    before, after = np.linalg.norm(plain - exact), np.linalg.norm(stepped - exact)
    assert after <= max(0.2 * before, 2e-5)


def test_the_two_maps_differ():
    models, weights = siblings(0, 4, change=1.0), [1.0, 2.0, 3.0, 4.0]
    difference = multislerp(models, weights) - multislerp(models, weights, map="log")
    assert np.abs(difference).max() > 1e-3


@given(st.integers(0, 99), WEIGHTS)
def test_with_a_base_it_works_on_task_vectors(seed, weights):
    base, models = family(seed, (6, 7), len(weights))
    found = multislerp(models, weights, base=base)
    expected = base + multislerp([model - base for model in models], weights)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(0, 99), WEIGHTS)
def test_normalised_weights_may_have_any_sum(seed, weights):
    models = siblings(seed, len(weights))
    found = multislerp(models, weights)
    np.testing.assert_allclose(found, multislerp(models, [8 * w for w in weights]), atol=1e-6)


def test_others_set_the_length():
    models, weights = siblings(0, 2), [0.5, 1.0]
    found = multislerp(models, weights, normalize_weights=False)
    assert np.linalg.norm(found) == pytest.approx(np.dot(weights, lengths(models)), rel=1e-6)
    normalised = multislerp(models, weights)
    np.testing.assert_allclose(found / 1.5, normalised, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("map_", ["mergekit", "log"])
def test_one_model_stays_as_it_is(map_):
    (model,) = siblings(0, 1)
    np.testing.assert_array_equal(multislerp([model], [0.3], map=map_), model)


@pytest.mark.parametrize(
    ("models", "weights", "result"),
    [
        ([[1, 0], [0, 1]], [1, 1], np.sqrt([0.5, 0.5])),
        ([[1, 0], [0, 3]], [1, 1], 2 * np.sqrt([0.5, 0.5])),
        ([[3, 0], [0, 1]], [3, 4], 13 / 7 * np.array([0.6, 0.8])),
        ([[0, 0], [0, 1]], [1, 1], [0, 0.5]),
    ],
)
def test_by_hand(models, weights, result):
    np.testing.assert_allclose(multislerp(models, weights), result, atol=1e-6)


def test_weights_that_sum_to_zero_are_refused():
    with pytest.raises(MergeError, match="the weights sum to zero"):
        multislerp([[1, 0], [0, 1]], [1, -1])


def test_unless_they_are_not_normalised():
    found = multislerp([[2, 0], [0, 1]], [1, -1], normalize_weights=False)
    np.testing.assert_allclose(found, np.sqrt([0.5, 0.5]) * [1, -1], atol=1e-6)
