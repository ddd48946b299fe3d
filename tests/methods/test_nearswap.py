"""Promises of nearswap: no number moves by more than t, and near ones move all the way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged


def nearswap(base, other, t, **options):
    arrays = [np.array(each, np.float32) for each in (base, other)]
    return merged("nearswap", arrays[1:], base=arrays[0], t=t, **options)


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0.25, [1.25, 2.125, 2.75, 4.0]),
        (0.0, [1.0, 2.0, 3.0, 4.0]),
        (9.0, [5.0, 2.125, -1.0, 4.0]),
        (-1.0, [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_by_hand(t, expected):
    found = nearswap([1, 2, 3, 4], [5, 2.125, -1, 4], t)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("t", "expected"), [(2.5e-7, [1.25e-7, 2.5e-7]), (5e-7, [2.5e-7, 5e-7]), (2e-6, [5e-7, 2e-6])]
)
def test_below_a_millionth_it_goes_a_share_of_the_way(t, expected):
    """A quarter, a half, or all of the way of the first; the second goes t."""
    np.testing.assert_allclose(nearswap([0, 0], [5e-7, 1], t), expected, rtol=1e-6)


@given(st.integers(0, 99), st.floats(0, 0.2))
def test_it_is_the_nearest_point_within_reach(seed, t):
    base, (other,) = family(seed, (6, 7), 1)
    near = base + np.clip(other - base, -t, t)
    np.testing.assert_allclose(nearswap(base, other, t), near, rtol=0, atol=1e-6)


@given(st.integers(0, 99))
def test_the_farther_it_may_go_the_nearer_it_comes(seed):
    base, (other,) = family(seed, (6, 7), 1)
    far = [np.abs(nearswap(base, other, t) - other) for t in (0.0, 0.02, 0.05, 0.3)]
    assert all((after <= before + 1e-6).all() for before, after in pairwise(far))
    assert far[-1].max() < 1e-6
