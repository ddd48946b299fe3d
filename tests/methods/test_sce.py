"""Promises of SCE: weights by energy, elements by variance, signs by the plain sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

SEEDS = st.integers(0, 99)


def sce(models, base=None, **given):
    arrays = [np.array(model, np.float32) for model in models]
    base = np.zeros_like(arrays[0]) if base is None else base
    return merged("sce", arrays, base=base, **given)


def by_formula(base, models, topk):
    """Select, calculate, erase, in float64."""
    deltas = np.stack([model.astype(np.float64) - base for model in models])
    if topk < 1:
        variance = deltas.var(axis=0)
        kept = int(np.float32(np.count_nonzero(variance)) * np.float32(topk))
        order = np.argsort(-variance.ravel(), kind="stable")
        mask = np.zeros(base.size)
        mask[order[: max(kept, 0)]] = 1
        deltas = deltas * mask.reshape(base.shape)
    energy = (deltas**2).reshape(len(models), -1).mean(axis=1)
    weights = (energy / (energy.sum() or 1)).reshape(-1, *[1] * base.ndim)
    agrees = np.sign(deltas) == np.where(deltas.sum(axis=0) >= 0, 1, -1)
    divisor = np.maximum((weights * agrees).sum(axis=0), 1e-6)
    return base + (weights * agrees * deltas).sum(axis=0) / divisor


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        # Mean squares of 4 and 1: weights of 0.8 and 0.2.
        ([[2, 2], [1, 1]], [1.8, 1.8]),
        # In the second element the first wins alone, though only by the plain sum.
        ([[2, 2], [1, -1]], [1.8, 2]),
        # In the second element the sum is zero: plus wins, and the second model stands alone.
        ([[1, -1], [1, 1]], [1, 1]),
        ([[0, 0], [3, 3]], [3, 3]),
    ],
)
def test_by_hand(models, expected):
    np.testing.assert_allclose(sce(models), expected, rtol=1e-6)


def test_votes_are_not_weighted():
    """The first model has nearly all the weight, but two small ones outvote its small number."""
    found = sce([[100, -1, 0], [0, 2, 1], [0, 2, 1]])
    assert found[1] == pytest.approx(2)


@pytest.mark.parametrize(
    ("topk", "expected"),
    [(0.25, [0, 0, 0, 4, 0]), (0.5, [0, 0, 3, 4, 0]), (0.75, [0, 2, 3, 4, 0]), (0.2, [0] * 5)],
)
def test_the_elements_that_vary_most_are_kept_of_those_that_vary(topk, expected):
    """Four of five elements vary, so a share of 1/4 is one element, and 1/5 is none."""
    found = sce([[1, 2, 3, 4, 7], [0, 0, 0, 0, 7]], select_topk=topk)
    np.testing.assert_array_equal(found, expected)


def test_of_equal_variances_the_first_are_kept():
    found = sce([[1, -1, 1, -1], [0, 0, 0, 0]], select_topk=0.5)
    np.testing.assert_array_equal(found, [1, -1, 0, 0])


def test_equal_models_have_no_variance_to_select_by():
    model = np.float32([0.1, 0.7, -0.3])
    np.testing.assert_array_equal(sce([model] * 3, select_topk=0.9), 0 * model)
    np.testing.assert_allclose(sce([model] * 3), model, rtol=1e-6)


@given(SEEDS, st.integers(1, 4), st.floats(-0.1, 1.2))
def test_it_is_the_formula(seed, count, topk):
    base, models = family(seed, (6, 7), count)
    expected = by_formula(base, models, topk)
    np.testing.assert_allclose(sce(models, base, select_topk=topk), expected, rtol=0, atol=1e-6)


@given(SEEDS)
def test_the_scale_of_task_vectors_scales_the_merge(seed):
    base, models = family(seed, (6, 7), 3, change=1.0)
    deltas = np.stack(models) - base
    found, farther = (sce(base + f * deltas, base, select_topk=0.6) for f in (1, 4))
    np.testing.assert_allclose(4 * (found - base), farther - base, atol=1e-5)
