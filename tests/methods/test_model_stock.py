"""Promises of model stock: the angle between fine-tunes tells how far to go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

BASE = np.array([1.0, 2.0, 3.0], np.float32)


def stock(deltas, base=BASE, **options):
    arrays = [(base + np.array(delta)).astype(np.float32) for delta in deltas]
    return merged("model_stock", arrays, base=base, **options)


def at(*degrees):
    """Unit vectors in a plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)


@pytest.mark.parametrize(
    ("deltas", "t"),
    [
        (at(0, 60), 2 / 3),  # N = 2, cos = 1/2: 2c / (1 + c)
        (at(0, 90), 0.0),
        (at(30, 30, 30), 1.0),
        (at(0, 0, 60), 6 / 7),  # N = 3, mean of 1, 1/2, 1/2: 3c / (1 + 2c)
        (at(0, 120), -2.0),  # c = -1/2
        (at(0, 120, 240), 0.0),  # c = -1/2: no denominator, so the base stays
        (0 * at(0, 60), 0.0),
        (5 * at(0, 60), 2 / 3),
    ],
)
def test_by_hand(deltas, t):
    np.testing.assert_allclose(stock(deltas), BASE + t * deltas.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("degrees", "t"), [((0, 120), 0), ((0, 180, 180), 0), ((0, 60), 2 / 3), ((0, 0), 1)]
)
def test_clamped_it_neither_passes_the_mean_nor_turns_back(degrees, t):
    deltas = at(*degrees)
    expected = BASE + t * deltas.mean(axis=0)
    np.testing.assert_allclose(stock(deltas, clamp=True), expected, atol=1e-5)


@given(st.integers(0, 99))
def test_the_length_of_task_vectors_does_not_matter_for_t(seed):
    base, models = family(seed, (6, 7), 3)
    deltas = np.stack(models) - base
    found = merged("model_stock", models, base=base) - base
    farther = merged("model_stock", list(base + 4 * deltas), base=base) - base
    np.testing.assert_allclose(4 * found, farther, atol=1e-5)


@given(st.integers(0, 99))
def test_filter_wise_every_row_has_its_own_angle(seed):
    base, models = family(seed, (6, 7), 3)
    found = merged("model_stock", models, base=base, filter_wise=True)
    rows = [merged("model_stock", [model[i] for model in models], base=base[i]) for i in range(6)]
    np.testing.assert_allclose(found, np.stack(rows), atol=1e-6)
