"""Promises of RAM: what one model alone has changed is not diluted; RAM+ makes it larger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

ZEROS = np.zeros(4, np.float32)
FIRST = np.array([1, 2, 0, 0], np.float32)
SECOND = np.array([3, 0, 4, 0], np.float32)
SEEDS = st.integers(0, 99)


def ram(models, base=ZEROS, name="ram", **given):
    return merged(name, list(models), base=base, **given)


def ram_plus(models, base=ZEROS, **given):
    return ram(models, base, "ramplus_tl", **given)


def apart(seed):
    """A base and two models that have changed no number both."""
    base, (one, other) = family(seed, (6, 7), 2)
    mine = np.random.default_rng(seed).random((6, 7)) < 0.5
    return base, np.where(mine, one, base), np.where(mine, base, other), np.where(mine, one, other)


def test_by_hand():
    np.testing.assert_array_equal(ram([FIRST, SECOND]), [2, 2, 4, 0])


@pytest.mark.parametrize(
    ("given", "gain"),
    [
        ({}, 1.02),  # one element is shared and one is not: a ratio of 1, of which 0.2 counts
        ({"alpha": 0.5}, 1.05),
        ({"r": 0.5}, 1.1),
        ({"r": 0.5, "alpha": 3.0}, 1.5),
        ({"r": 0.0}, 1.0),
        ({"alpha": 0.0}, 1.0),
    ],
)
def test_by_hand_with_gains(given, gain):
    found = ram_plus([FIRST, SECOND], **given)
    np.testing.assert_allclose(found, [2, 2 * gain, 4 * gain, 0], rtol=1e-6)


def test_each_model_has_its_own_gain():
    """The first shares two and has one of its own; the second shares two and has four."""
    first = np.array([1, 1, 1, 0, 0, 0, 0], np.float32)
    second = np.array([1, 1, 0, 1, 1, 1, 1], np.float32)
    found = ram_plus([first, second], 0 * first, r=1.0, alpha=9.0)
    np.testing.assert_allclose(found, [1, 1, 3, 1.5, 1.5, 1.5, 1.5])


@given(SEEDS)
def test_models_that_changed_different_numbers_are_both_kept_whole(seed):
    base, one, other, both = apart(seed)
    for merge in (ram, ram_plus):  # but for changes below epsilon
        np.testing.assert_allclose(merge([one, other], base), both, rtol=0, atol=1.1e-5)


@given(SEEDS, st.floats(0, 0.1))
def test_what_all_have_changed_is_averaged(seed, epsilon):
    base, models = family(seed, (6, 7), 3)
    changed = [np.abs(model - base) > np.float32(epsilon) for model in models]
    deltas = [np.where(c, m - base, 0) for c, m in zip(changed, models, strict=True)]
    expected = base + sum(deltas) / np.maximum(sum(c.astype(int) for c in changed), 1)
    found = ram(models, base, epsilon=epsilon)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@given(SEEDS)
def test_without_gains_ram_plus_is_ram(seed):
    base, models = family(seed, (6, 7), 3)
    plain = ram(models, base, epsilon=0.03)
    np.testing.assert_array_equal(ram_plus(models, base, epsilon=0.03, r=0.0), plain)


@given(SEEDS)
def test_gains_touch_only_what_one_model_alone_has_changed(seed):
    base, models = family(seed, (6, 7), 3)
    plain, gained = (f(models, base, epsilon=0.05) for f in (ram, ram_plus))
    count = sum((np.abs(m - base) > np.float32(0.05)).astype(int) for m in models)
    np.testing.assert_array_equal(plain[count != 1], gained[count != 1])
    alone = count == 1
    assert (np.abs(gained - base)[alone] >= np.abs(plain - base)[alone]).all()


@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_models_without_unique_changes_have_nothing_to_multiply(epsilon):
    np.testing.assert_array_equal(ram_plus([FIRST, FIRST], epsilon=epsilon), FIRST)
    np.testing.assert_array_equal(ram_plus([ZEROS, ZEROS], epsilon=epsilon), ZEROS)
