"""Promises of the Karcher mean: it balances on the sphere, by weight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import MergeError
from tests.methods.in_memory import family, merged

WEIGHTS = st.floats(0.25, 4, width=32)
EXACT = {"max_iter": 100, "tol": 1e-9}


def karcher(*arrays, **options):
    return merged("karcher", [np.array(x, np.float32) for x in arrays], **options)


def unit(x):
    return np.asarray(x, np.float64) / np.linalg.norm(x)


def siblings(seed, count):
    base, others = family(seed, (6, 7), count - 1, change=0.5)
    return [base, *others]


def pull(mean, directions, weights):
    """The weighted sum of the tangents from the mean to all directions, in float64."""
    total = np.zeros_like(mean)
    for direction, weight in zip(directions, weights, strict=True):
        cosine = float(np.clip((mean * direction).sum(), -1, 1))
        away = direction - cosine * mean
        length = np.linalg.norm(away)
        if length > 1e-12:
            total += weight * np.arccos(cosine) / length * away
    return total


@given(st.integers(0, 99), st.lists(WEIGHTS, min_size=2, max_size=5))
def test_the_tangents_to_all_models_cancel(seed, weights):
    models = siblings(seed, len(weights))
    mean = unit(karcher(*models, weight=weights, **EXACT))
    force = pull(mean, [unit(model) for model in models], weights)
    assert np.linalg.norm(force) < 1e-5 * sum(weights)


@given(st.integers(0, 99), st.lists(WEIGHTS, min_size=2, max_size=5))
def test_its_length_is_the_mean_length(seed, weights):
    models = [x * (i + 1) for i, x in enumerate(siblings(seed, len(weights)))]
    lengths = [np.linalg.norm(model) for model in models]
    found = karcher(*models, weight=weights, **EXACT)
    expected = np.average(lengths, weights=weights)
    assert np.linalg.norm(found) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 99), WEIGHTS, WEIGHTS)
def test_of_two_models_it_is_their_slerp(seed, left, right):
    first, second = (unit(x).astype(np.float32) for x in siblings(seed, 2))
    found = karcher(first, second, weight=[left, right], **EXACT)
    expected = merged("nuslerp", [first, second], weight=[left, right])
    np.testing.assert_allclose(found, expected, atol=2e-6)


@given(st.integers(0, 99))
def test_a_weight_of_two_is_a_model_twice(seed):
    first, second, third = siblings(seed, 3)
    found = karcher(first, second, third, weight=[2.0, 1.0, 1.0], **EXACT)
    np.testing.assert_allclose(found, karcher(first, first, second, third, **EXACT), atol=2e-6)


@given(st.integers(0, 99))
def test_a_weight_of_zero_is_no_model(seed):
    first, second, third = siblings(seed, 3)
    found = karcher(first, second, third, weight=[1.0, 1.0, 0.0], **EXACT)
    np.testing.assert_allclose(found, karcher(first, second, **EXACT), atol=2e-6)


@pytest.mark.parametrize(
    ("models", "result"),
    [
        (np.eye(3), np.full(3, 1 / np.sqrt(3))),
        ([[2, 0], [0, 4]], 3 * np.sqrt([0.5, 0.5])),
        ([[1, 0], [0, 0], [0, 1]], 2 / 3 * np.sqrt([0.5, 0.5])),  # nothing has no direction
        ([[0, 0], [0, 0]], [0, 0]),
        ([[1, 0], [-1, 0]], [1, 0]),  # opposite: the first
        ([[0.5, 0.25]], [0.5, 0.25]),
    ],
)
def test_by_hand(models, result):
    np.testing.assert_allclose(karcher(*models), result, atol=1e-6)


def test_every_step_comes_nearer():
    exact = unit(karcher(*np.eye(3), weight=[1.0, 2.0, 4.0], **EXACT))
    found = [karcher(*np.eye(3), weight=[1.0, 2.0, 4.0], max_iter=steps) for steps in range(5)]
    errors = [np.linalg.norm(unit(each) - exact) for each in found]
    assert errors == sorted(errors, reverse=True)
    assert errors[4] < 1e-3 * errors[0]


def test_the_weight_of_a_model_without_a_direction_is_passed_on():
    # Without it the others' weights, 1 and -1, would sum to zero.
    found = karcher([0, 0], [1, 0], [0, 1], weight=[1.0, 1.0, -1.0])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]])
def test_weights_that_sum_to_zero_are_refused(weights):
    with pytest.raises(MergeError, match="the weights sum to zero"):
        karcher([1, 0], [0, 1], weight=weights)
