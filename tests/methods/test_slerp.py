"""Promises of slerp: one arc between two models, and a straight line where there is none."""

from __future__ import annotations

from math import acos, cos, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

PLACES = st.floats(0, 1, width=32)


def slerp(base, other, t):
    return merged("slerp", [np.array(other, np.float32)], base=np.array(base, np.float32), t=t)


def two(seed, shape=(4, 5)):
    base, (other,) = family(seed, shape, 1, change=1.0)
    return base, other


def at(degrees, length=1.0):
    return [length * cos(radians(degrees)), length * sin(radians(degrees))]


@given(st.integers(0, 99), PLACES)
def test_swapping_the_models_reverses_t(seed, t):
    base, other = two(seed)
    np.testing.assert_allclose(slerp(base, other, t), slerp(other, base, 1 - t), atol=1e-6)


@given(st.integers(0, 99))
def test_zero_is_the_base_and_one_the_other(seed):
    base, other = two(seed)
    np.testing.assert_array_equal(slerp(base, other, 0.0), base)
    np.testing.assert_array_equal(slerp(base, other, 1.0), other)


@given(st.integers(0, 99), PLACES)
def test_unit_vectors_stay_on_the_sphere(seed, t):
    base, other = (x / np.linalg.norm(x) for x in two(seed))
    assert np.linalg.norm(slerp(base, other, t)) == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 99), PLACES)
def test_the_angle_grows_evenly(seed, t):
    base, other = (x / np.linalg.norm(x) for x in two(seed))
    found = slerp(base, other, t)
    whole = acos(float((base * other).sum()))
    assert float((base * found).sum()) == pytest.approx(cos(t * whole), abs=1e-5)


@pytest.mark.parametrize(
    ("base", "other", "t", "result"),
    [
        ([1, 0], [0, 1], 0.5, [sqrt(0.5), sqrt(0.5)]),
        ([1, 0], [0, 1], 1 / 3, at(30)),
        ([3, 0], [0, 1], 0.5, [3 * sqrt(0.5), sqrt(0.5)]),  # lengths are not evened out
        ([1, 0], at(120), 0.25, at(30)),
        ([1, 0], [0, 1], 2.0, at(180)),  # beyond the ends the circle goes on
        ([1, 0], [2, 0], 0.25, [1.25, 0]),  # parallel: the straight line
        ([1, 0], [-1, 0], 0.25, [0.5, 0]),  # opposite: the straight line
        ([0, 0], [0, 2], 0.5, [0, 2 * sin(radians(45))]),  # nothing counts as at right angles
    ],
)
def test_by_hand(base, other, t, result):
    np.testing.assert_allclose(slerp(base, other, t), result, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("cosine", [0.9994, 0.9996])
def test_beyond_a_cosine_of_9995_the_line_is_straight(cosine, sign):
    found = slerp([1, 0], [sign * cosine, sqrt(1 - cosine**2)], 0.5)
    straight = sqrt((1 + sign * cosine) / 2)
    assert np.linalg.norm(found) == pytest.approx(1 if cosine < 0.9995 else straight, abs=1e-5)
