"""Promises of linear: a mean, or a sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import MergeError
from tests.methods.in_memory import family, merged

WEIGHTS = st.lists(st.floats(0.25, 4, width=32), min_size=1, max_size=5)


def linear(models, weights, **options):
    arrays = [np.array(x, np.float32) for x in models]
    return merged("linear", arrays, weight=list(weights), **options)


def siblings(seed, count):
    base, others = family(seed, (6, 7), count - 1, change=1.0)
    return [base, *others]


@given(st.integers(0, 99), WEIGHTS)
def test_it_is_the_weighted_mean(seed, weights):
    models = siblings(seed, len(weights))
    expected = np.average(np.stack(models).astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(linear(models, weights), expected, atol=1e-6)


@given(st.integers(0, 99), WEIGHTS)
def test_a_mean_lies_between_the_models(seed, weights):
    models = np.stack(siblings(seed, len(weights)))
    found = linear(models, weights)
    assert (found >= models.min(axis=0) - 1e-6).all()
    assert (found <= models.max(axis=0) + 1e-6).all()


@given(st.integers(0, 99), WEIGHTS, st.floats(-8, 8, width=32).filter(lambda x: abs(x) > 0.1))
def test_only_the_ratio_of_the_weights_counts(seed, weights, factor):
    models = siblings(seed, len(weights))
    found = linear(models, [factor * weight for weight in weights])
    np.testing.assert_allclose(found, linear(models, weights), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "normalize", "result"),
    [
        ([1, 1], True, [2.0, 3.0]),
        ([1, 3], True, [2.5, 3.5]),
        ([1, 3], False, [10.0, 14.0]),
        ([-1, 2], True, [5.0, 6.0]),
        ([1, -1], False, [-2.0, -2.0]),
        ([0, 0], False, [0.0, 0.0]),
    ],
)
def test_by_hand(weights, normalize, result):
    found = linear([[1, 2], [3, 4]], weights, normalize=normalize)
    np.testing.assert_array_equal(found, np.array(result, np.float32))


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [0.1, 0.2, -0.3], [1e-3, -1e-3, 0]])
def test_weights_that_sum_to_zero_are_refused(weights):
    # 0.1 + 0.2 - 0.3 leaves 6e-17, by which nobody means to divide.
    with pytest.raises(MergeError, match="sum to zero; give other weights, or 'normalize: false'"):
        linear(np.eye(3)[: len(weights)], weights)


def test_weights_that_nearly_cancel_are_meant():
    found = linear([[1, 0], [0, 1]], [1.0, -0.999])
    np.testing.assert_allclose(found, [1000, -999], rtol=1e-4)
