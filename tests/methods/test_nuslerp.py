"""Promises of nuslerp: slerp by weights, of whole tensors, of rows or of columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

WEIGHTS = st.floats(0.0625, 8, width=32)


def nuslerp(first, second, weights=(1.0, 1.0), **options):
    return merged("nuslerp", [first, second], weight=list(weights), **options)


def slerp(first, second, t):
    return merged("slerp", [second], base=first, t=t)


def two(seed, shape=(4, 5)):
    base, (other,) = family(seed, shape, 1, change=1.0)
    return base, other


@given(st.integers(0, 99), WEIGHTS, WEIGHTS)
def test_the_weights_are_the_place_on_the_arc(seed, left, right):
    first, second = two(seed)
    expected = slerp(first, second, right / (left + right))
    np.testing.assert_allclose(nuslerp(first, second, (left, right)), expected, atol=1e-6)


@given(st.integers(0, 99), WEIGHTS, WEIGHTS, st.floats(0.125, 8, width=32))
def test_only_the_ratio_of_the_weights_counts(seed, left, right, factor):
    first, second = two(seed)
    found = nuslerp(first, second, (left, right))
    scaled = nuslerp(first, second, (factor * left, factor * right))
    np.testing.assert_allclose(found, scaled, atol=1e-6)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, -1.0), (1e-7, 1e-7)])
def test_weights_that_sum_to_nothing_mean_the_middle(weights):
    first, second = two(0)
    np.testing.assert_array_equal(nuslerp(first, second, weights), nuslerp(first, second))


@given(st.integers(0, 99), WEIGHTS)
def test_with_a_base_the_arc_is_between_task_vectors(seed, weight):
    base, (first, second) = family(seed, (4, 5), 2)
    found = nuslerp(first, second, (1.0, weight), base=base)
    expected = base + nuslerp(first - base, second - base, (1.0, weight))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(0, 99), WEIGHTS)
def test_without_flattening_every_row_has_its_own_arc(seed, weight):
    first, second = two(seed)
    found = nuslerp(first, second, (1.0, weight), nuslerp_flatten=False)
    rows = [nuslerp(a, b, (1.0, weight)) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, np.stack(rows), atol=1e-6)


@given(st.integers(0, 99), WEIGHTS)
def test_row_wise_means_columns(seed, weight):
    # mergekit's name: along the first axis.
    first, second = two(seed)
    options = {"nuslerp_flatten": False, "weight": [1.0, weight]}
    found = merged("nuslerp", [first, second], nuslerp_row_wise=True, **options)
    turned = merged("nuslerp", [first.T.copy(), second.T.copy()], **options)
    np.testing.assert_allclose(found, turned.T, atol=1e-6)


@pytest.mark.parametrize("row_wise", [False, True])
def test_three_axes(row_wise):
    first, second = two(0, (3, 4, 5))
    found = nuslerp(first, second, nuslerp_flatten=False, nuslerp_row_wise=row_wise)
    shape = (3, 20) if row_wise else (12, 5)
    flat = nuslerp(
        first.reshape(shape),
        second.reshape(shape),
        nuslerp_flatten=False,
        nuslerp_row_wise=row_wise,
    )
    np.testing.assert_allclose(found, flat.reshape(3, 4, 5), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"nuslerp_row_wise": True}])
@pytest.mark.parametrize("shape", [(), (1,), (7,)])
def test_a_vector_or_scalar_is_one_vector(shape, options):
    first, second = two(0, shape)
    found = nuslerp(first, second, nuslerp_flatten=False, **options)
    np.testing.assert_array_equal(found, nuslerp(first, second))


def test_parallel_vectors_are_merged_on_the_straight_line():
    x = np.array([1.0, 2.0, 2.0], np.float32)
    np.testing.assert_allclose(nuslerp(x, 3 * x, (1.0, 3.0)), 2.5 * x, rtol=1e-6)


def test_close_vectors_stay_on_the_arc():
    # slerp would take the straight line, half a thousandth inside the sphere.
    first = np.array([1.0, 0.0], np.float32)
    second = np.array([np.cos(0.02), np.sin(0.02)], np.float32)
    middle = [np.cos(0.01), np.sin(0.01)]
    np.testing.assert_allclose(nuslerp(first, second), middle, atol=1e-7)
