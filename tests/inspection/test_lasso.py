"""Sparse maps are those that are defined, found by other means too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.inspection import lasso
from evomerge.inspection.lasso import PENALTIES, TOLERANCE, lasso_path, sparse_maps

seeds = st.integers(0, 10**6)


def drawn(seed, tokens=120, sources=30, targets=7):
    """Sources that correlate with each other, and targets that a few of them make."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(tokens, sources // 2))
    inputs = hidden @ random.normal(size=(sources // 2, sources))
    inputs += random.normal(size=inputs.shape)
    chosen = random.normal(size=(sources, targets)) * (random.random((sources, targets)) < 0.2)
    wanted = inputs @ chosen + random.normal(size=(tokens, targets))
    return [(each - each.mean(0)) / each.std(0) for each in (inputs, wanted)]


def statistics_of(inputs, wanted):
    return inputs.T @ inputs / len(inputs), inputs.T @ wanted / len(inputs)


def violation(gram, products, penalty, found):
    """How far a map is from what defines it: |Xᵀ(y - Xw)| / n is λ where w is not 0, else less."""
    slopes = products - gram @ found
    at = found != 0
    inside = np.abs(slopes - penalty * np.sign(found))[at]
    outside = np.abs(slopes[~at]) - penalty
    return max(inside.max(initial=0), outside.max(initial=0))


@settings(max_examples=30)
@given(seed=seeds, sources=st.sampled_from([5, 30, 200]))
def test_each_map_is_optimal(seed, sources):
    gram, products = statistics_of(*drawn(seed, sources=sources))
    maps = list(lasso_path(gram, products, PENALTIES))
    for penalty, found in zip(PENALTIES, maps, strict=True):
        assert violation(gram, products, penalty, found) < 3 * TOLERANCE


@pytest.mark.parametrize("sources", [20, 150])
def test_scikit_learn_finds_the_same(monkeypatch, sources):
    linear_model = pytest.importorskip("sklearn.linear_model")
    monkeypatch.setattr(lasso, "TOLERANCE", 1e-8)
    inputs, wanted = drawn(3, tokens=200, sources=sources)
    penalties = (0.4, 0.1, 0.03)
    maps = lasso_path(*statistics_of(inputs, wanted), penalties)
    for penalty, found in zip(penalties, maps, strict=True):
        model = linear_model.Lasso(alpha=penalty, fit_intercept=False, tol=1e-9, max_iter=100_000)
        expected = model.fit(inputs, wanted).coef_.T
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(inputs @ found, inputs @ expected, atol=1e-4)


def test_one_source_by_hand():
    """Of one unit w is the correlation, nearer to zero by λ."""
    maps = list(lasso_path(np.ones((1, 1)), np.array([[0.7, -0.3, 0.05]]), (0.5, 0.1)))
    np.testing.assert_allclose(maps[0], [[0.2, 0, 0]], atol=TOLERANCE)
    np.testing.assert_allclose(maps[1], [[0.6, -0.2, 0]], atol=TOLERANCE)


def test_targets_do_not_depend_on_each_other(monkeypatch):
    monkeypatch.setattr(lasso, "TOLERANCE", 1e-8)
    gram, products = statistics_of(*drawn(0, targets=40))
    together = list(lasso_path(gram, products, PENALTIES))
    monkeypatch.setattr(lasso, "TARGETS", 3)
    for one, other in zip(together, lasso_path(gram, products, PENALTIES), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_units_come_in_that_the_strong_rule_would_leave_out():
    """Three units make the target, a fourth is half of each, and turns against it as they grow.

    With λ the three have weights 1 - λ, and what is left for the fourth is 1.5 λ - 1.05: nothing
    at 0.7, where the rule asks for 0.1, and more than λ at 0.4.
    """
    gram = np.eye(4)
    gram[3, :3] = gram[:3, 3] = 0.5
    products = np.array([[1, 1, 1, 0.45]]).T
    without, with_it = lasso_path(gram, products, (0.7, 0.4))
    np.testing.assert_allclose(without, [[0.3], [0.3], [0.3], [0]], atol=TOLERANCE)
    assert with_it[3] < 0
    assert violation(gram, products, 0.4, with_it) < 3 * TOLERANCE


def test_a_copy_needs_one_unit_for_each():
    random = np.random.default_rng(0)
    first = random.normal(size=(2000, 12)).astype(np.float32)
    second = 2 * first[:, random.permutation(12)] - 1
    found = sparse_maps(first, second, 1500)
    assert [each.penalty for each in found] == list(PENALTIES)
    for each in found:
        assert each.used == pytest.approx(1)
        # What λ takes from the one coefficient, 1.
        assert each.explained == pytest.approx(1 - each.penalty**2, abs=0.01)


def test_mixes_of_two_units_take_two():
    random = np.random.default_rng(1)
    first = random.normal(size=(2000, 20))
    second = first[:, :10] + first[:, 10:]
    *_, most = sparse_maps(first, second, 1500)
    assert 2 <= most.used < 6
    assert most.explained > 0.99


def test_noise_is_not_explained_by_tokens_that_were_not_seen():
    random = np.random.default_rng(2)
    first, second = random.normal(size=(2, 600, 80))
    few, *_, most = sparse_maps(first, second, 450)
    assert few == (0.5, 0.0, pytest.approx(0, abs=0.02))
    assert most.used > 30
    assert most.explained < 0


def test_of_many_targets_some_are_taken():
    random = np.random.default_rng(3)
    first = random.normal(size=(300, 4))
    second = np.repeat(first, 200, axis=1)
    np.testing.assert_allclose(
        sparse_maps(first, second, 200), sparse_maps(first, first, 200), atol=1e-6
    )


def test_units_that_do_nothing_do_no_harm():
    random = np.random.default_rng(4)
    first, second = random.normal(size=(2, 300, 5))
    first[:, 2] = second[:, 1] = 7
    second[:, 0] = first[:, 0]
    for each in sparse_maps(first, second, 200):
        assert np.isfinite(each).all()
    still = np.ones((300, 5))
    assert {(each.used, each.explained) for each in sparse_maps(still, still, 200)} == {(0.0, 1.0)}
