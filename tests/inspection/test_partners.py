"""Units find their partners, whatever order they stand in; those without one are rare."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.inspection.correlation import correlations, head_likeness, standardised
from evomerge.inspection.partners import RARE, partners

TOKENS = 1500
seeds = st.integers(0, 10**6)


def noise(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_correlations_are_those_of_numpy():
    first, second = noise(0, 50, 4), noise(1, 50, 3)
    second[:, 0] += first[:, 2]
    expected = np.corrcoef(first.T, second.T)[:4, 4:]
    np.testing.assert_allclose(correlations(first, second, signed=True), expected, atol=1e-6)
    np.testing.assert_allclose(
        correlations(first, second, signed=False), np.abs(expected), atol=1e-6
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, 3e7])
def test_a_unit_that_does_nothing_correlates_with_nothing(constant):
    first = noise(0, 2048, 3)
    first[:, 1] = constant
    alike = correlations(first, first, signed=True)
    np.testing.assert_allclose(alike[1], 0)
    assert list(partners(alike).rare.first) == [1]


def test_tokens_may_be_measured_by_others():
    known, more = noise(0, 60, 3), noise(1, 20, 3)
    expected = (more - known.mean(0)) / known.std(0)
    np.testing.assert_allclose(standardised(more, known), expected, atol=1e-5)


@given(seed=seeds)
def test_a_copy_in_another_order_matches_one_to_one(seed):
    random = np.random.default_rng(seed)
    first = noise(seed, TOKENS, 9)
    order, signs = random.permutation(9), random.choice([-1, 1], 9)
    found = partners(correlations(first, 3 * first[:, order] * signs + 1, signed=False))
    assert found.one_to_one == pytest.approx(1, abs=1e-5)
    assert found.gap == pytest.approx(0, abs=1e-5)
    assert (found.pairs.first == order[found.pairs.second]).all()
    assert found.in_place == (order == np.arange(9)).sum()
    assert not len(found.rare.first)
    assert not len(found.rare.second)


def test_where_signs_count_a_negative_is_no_partner():
    first = noise(0, TOKENS, 3)
    turned = first * np.array([1, -1, 1], np.float32)
    assert partners(correlations(first, turned, signed=False)).one_to_one > 0.999
    found = partners(correlations(first, turned, signed=True))
    assert list(found.rare.first) == list(found.rare.second) == [1]
    assert found.one_to_one == pytest.approx(1 / 3, abs=1e-5)


@given(seed=seeds)
def test_noise_has_no_partner(seed):
    first, second = noise(seed, TOKENS, 8), noise(seed + 1, TOKENS, 8)
    second[:, :5] += 2 * first[:, 3:]
    found = partners(correlations(first, second, signed=False))
    assert list(found.rare.first) == [0, 1, 2]
    assert list(found.rare.second) == [5, 6, 7]


@given(seed=seeds)
def test_swapping_the_models_swaps_what_is_said_of_them(seed):
    first, second = noise(seed, 40, 7), noise(seed + 1, 40, 5)
    second += first[:, :5]
    alike = correlations(first, second, signed=False)
    one, other = partners(alike), partners(alike.T)
    assert one.one_to_one == pytest.approx(other.one_to_one, abs=1e-6)
    assert (one.first_best, one.second_best) == (other.second_best, other.first_best)
    pairs = [set(zip(*sides, strict=True)) for sides in (one.pairs, other.pairs[::-1])]
    assert pairs[0] == pairs[1]
    for mine, theirs in zip(one.rare, other.rare[::-1], strict=True):
        assert (mine == theirs).all()


def test_by_hand():
    alike = np.array([[0.9, 0.8, 0.0], [0.8, 0.2, 0.1]])
    found = partners(alike)
    # 0.8 + 0.8 is more than 0.9 + 0.2, though the first unit of both has its best in the other.
    assert [units.tolist() for units in found.pairs] == [[0, 1], [1, 0]]
    assert found.one_to_one == pytest.approx(0.8)
    assert found.first_best == pytest.approx(0.85)
    assert found.second_best == pytest.approx((0.9 + 0.8 + 0.1) / 3)
    assert found.rare.second.tolist() == [2]
    assert RARE == 0.3


@given(seed=seeds)
def test_heads_are_the_same_in_any_gauge(seed):
    first = noise(seed, 400, 6)
    blocks = np.split(first, 3, axis=1)
    gauges = [noise(seed + n, 2, 2) + 3 * np.eye(2, dtype=np.float32) for n in range(3)]
    second = np.hstack(
        [blocks[head] @ gauge for head, gauge in zip((2, 0, 1), gauges, strict=True)]
    )
    found = head_likeness(first, second, (3, 3))
    assert (found.argmax(0) == [2, 0, 1]).all()
    np.testing.assert_allclose(found.max(0), 1, atol=1e-4)
    np.testing.assert_allclose(head_likeness(second, first, (3, 3)), found.T, atol=1e-6)


def test_heads_that_are_chance_are_not_alike_on_average():
    squares = [head_likeness(noise(n, 200, 64), noise(n + 99, 200, 64), (4, 4)) for n in range(9)]
    # Uncorrected, random spaces of 16 numbers over 200 tokens would come to the root of 0.08.
    assert np.mean(squares) < 0.06
    half = noise(0, 2000, 8)
    other = np.hstack([half[:, :4], noise(1, 2000, 4)])
    assert head_likeness(half, other, (1, 1)) == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_a_head_that_does_nothing_is_like_none():
    first = noise(0, 100, 4)
    first[:, :2] = 1
    np.testing.assert_allclose(head_likeness(first, first, (2, 2)), [[0, 0], [0, 1]], atol=1e-6)
