"""Promises of Breadcrumbs: the middle of the magnitudes, without the outliers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

TEN = np.array([3, -1, 10, 5, -7, 2, 9, -4, 6, 8], np.float32)


def crumbs(delta, method="breadcrumbs", **options):
    """The thinned task vector, on a base of zeros."""
    delta = np.asarray(delta, np.float32)
    return merged(method, [delta], base=np.zeros_like(delta), weight=[1.0], **options)


def kept(delta, **options):
    """The magnitudes that are left."""
    found = crumbs(delta, **options)
    return sorted(np.abs(found[found != 0]).tolist())


@pytest.mark.parametrize(
    ("density", "gamma", "left"),
    [
        (0.5, 0.1, [5, 6, 7, 8, 9]),  # one outlier, then five, four too small
        (0.5, 0.0, [6, 7, 8, 9, 10]),
        (0.5, 0.3, [3, 4, 5, 6, 7]),
        (0.3, 0.7, [1, 2, 3]),
        (0.3, 0.9, [1, 2, 3]),  # outliers yield to the density
        (0.9, 0.1, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (0.95, 0.2, [1, 2, 3, 4, 5, 6, 7, 8, 9]),  # one outlier of two: nine are to be kept
        (1.0, 0.5, list(range(1, 11))),  # all are kept, outliers too
        (1.7, 0.5, list(range(1, 11))),
        (0.0, 0.1, []),
        (-1.0, 0.1, []),
        (0.05, 0.1, []),  # half an element is none
    ],
)
def test_by_hand(density, gamma, left):
    assert kept(TEN, density=[density], gamma=[gamma]) == left


def test_by_row_by_hand():
    delta = [[1, -2, 3, -4, 5], [-50, 40, -30, 20, 10]]
    by_row = crumbs(delta, density=[0.4], gamma=[0.2], trim="row")
    np.testing.assert_array_equal(by_row, [[0, 0, 3, -4, 0], [0, 40, -30, 0, 0]])
    by_tensor = crumbs(delta, density=[0.4], gamma=[0.2])
    np.testing.assert_array_equal(by_tensor, [[0, 0, 0, 0, 5], [0, 0, -30, 20, 10]])


@given(st.integers(0, 99), st.floats(0.05, 0.95), st.floats(0, 0.5))
def test_by_row_every_row_is_a_tensor(seed, density, gamma):
    _, (delta,) = family(seed, (5, 40), 1)
    options = {"density": [density], "gamma": [gamma]}
    found = crumbs(delta, trim="row", **options)
    np.testing.assert_array_equal(found, np.stack([crumbs(row, **options) for row in delta]))


@given(st.integers(0, 99), st.floats(0.05, 0.95), st.floats(0, 0.5))
def test_what_is_kept_is_one_run_of_ranks(seed, density, gamma):
    _, (delta,) = family(seed, (200,), 1)
    mask = crumbs(delta, density=[density], gamma=[gamma]) != 0
    ranks = np.argsort(np.argsort(np.abs(delta)))
    inside = np.sort(ranks[mask])
    assert len(inside) == int(density * 200)
    assert (np.diff(inside) == 1).all()
    assert 200 - 1 - inside.max(initial=-1) == min(int(gamma * 200), 200 - len(inside))


@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_without_outliers_it_trims_as_ties_does(seed, density):
    base, (model,) = family(seed, (200,), 1)
    given_ = {"base": base, "weight": [1.0], "density": [density]}
    np.testing.assert_array_equal(
        merged("breadcrumbs", [model], gamma=[0.0], **given_), merged("ties", [model], **given_)
    )


def test_ties_go_by_position():
    found = crumbs([2, -2, 2, -2, 2, 2], density=[0.5], gamma=[0.2])
    np.testing.assert_array_equal(found, [0, -2, 2, -2, 0, 0])
    found = crumbs([[2, -2, 2], [-2, 2, 2]], density=[0.4], gamma=[0.4], trim="row")
    np.testing.assert_array_equal(found, [[0, -2, 0], [0, 2, 0]])


def test_rescaling_restores_the_norm():
    found = crumbs(TEN, density=[0.5], gamma=[0.1], rescale=True)
    assert np.abs(found).sum() == pytest.approx(55)
    assert np.abs(found).max() == pytest.approx(9 * 55 / 35)


def test_weights_divide_only_if_asked():
    base, models = family(0, (50,), 2)
    options = {"base": base, "weight": [1.0, 3.0], "density": [0.5, 0.7]}
    plain = merged("breadcrumbs", models, **options) - base
    divided = merged("breadcrumbs", models, normalize=True, **options) - base
    np.testing.assert_allclose(plain, 4 * divided, atol=1e-6)


def test_with_election_the_thinned_vote():
    base = np.zeros(4, np.float32)
    models = [np.array(x, np.float32) for x in ([9, 2, 3, 0.1], [1, -3, 9, 0.2])]
    options = {"base": base, "weight": [1.0, 1.0], "density": [0.5] * 2, "gamma": [0.25] * 2}
    # What is left: (0, 2, 3, 0) and (1, -3, 0, 0).
    np.testing.assert_array_equal(merged("breadcrumbs", models, **options), [1, -1, 3, 0])
    np.testing.assert_array_equal(merged("breadcrumbs_ties", models, **options), [1, -3, 3, 0])
