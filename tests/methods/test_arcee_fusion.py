"""Promises of Arcee Fusion: the changes that stand out are taken whole, the others not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

SEEDS = st.integers(0, 99)


def fusion(base, model, **options):
    return merged("arcee_fusion", [model], base=base, **options)


def softmax(rows):
    powers = np.exp(rows.astype(np.float64))
    return powers / powers.sum(axis=-1, keepdims=True)


def important(base, model):
    """Where the changes stand out, in float64."""
    p, q = softmax(model) + 1e-8, softmax(base) + 1e-8
    moved = (p * np.log(p / q)).sum(axis=-1, keepdims=True)
    score = np.abs(model.astype(np.float64) - base) * moved
    low, median, high = np.sort(score.ravel())[(score.size - 1) * np.array([1, 2, 3]) // 4]
    return score >= median + 1.5 * (high - low)


@given(SEEDS, st.sampled_from([(6, 7), (23,), (3, 4, 5)]))
def test_it_is_the_formula(seed, shape):
    base, (model,) = family(seed, shape, 1, change=0.3)
    taken = important(base, model)
    np.testing.assert_allclose(fusion(base, model), np.where(taken, model, base), atol=1e-6)


@given(SEEDS)
def test_a_row_that_is_as_it_was_stays(seed):
    base, (model,) = family(seed, (6, 7), 1, change=0.3)
    model[2] = base[2]
    found = fusion(base, model)
    np.testing.assert_array_equal(found[2], base[2])
    assert (found != base).any()


def test_by_hand():
    """In one row the size alone decides: median 2, quartiles 1 and 3, so from 5 on."""
    base = np.zeros(9, np.float32)
    model = np.float32([0, -1, 1, 2, -2, 2, 3, -4.9, 5.1])
    np.testing.assert_allclose(fusion(base, model), [0] * 8 + [5.1], rtol=1e-6)


@pytest.mark.parametrize(("unchanged", "all_taken"), [(13, True), (11, False)])
def test_of_few_changes_all_stand_out(unchanged, all_taken):
    """Where three quarters are as they were, median and quartiles are zero."""
    base = np.ones(16, np.float32)
    model = base.copy()
    model[unchanged:] += np.arange(1, 17 - unchanged, dtype=np.float32) / 10
    found = fusion(base, model)
    assert np.array_equal(found, model) == all_taken


def test_changes_of_one_size_all_stand_out():
    """The threshold is that size, and what reaches it is taken."""
    base = np.zeros(8, np.float32)
    model = np.float32([1, -1] * 4) / 8
    np.testing.assert_array_equal(fusion(base, model), model)


def test_numbers_far_apart_do_not_overflow():
    base = np.float32([[0, 1000, -1000], [1, 2, 3]])
    model = np.float32([[900, 0, -1000], [1, 2, 3]])
    for reference in (False, True):
        assert np.isfinite(fusion(base, model, reference=reference)).all()
