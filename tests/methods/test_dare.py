"""Promises of DARE: drops at random, by an address, and makes up for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.noise import DRAWS, draws, noise_key
from tests.methods.in_memory import family, merged

DENSITIES = st.floats(0.05, 0.95)


def dare(delta, method="dare_linear", **options):
    """The thinned task vector of one model, on a base of zeros."""
    options = {"weight": [1.0], "rescale": False} | options
    return merged(method, [delta], base=np.zeros_like(delta), **options)


def ones(shape=(64, 64)):
    return np.ones(shape, np.float32)


def kept(density, seed=0, shape=(64, 64)):
    return dare(ones(shape), density=[density], seed=seed) != 0


def test_the_mask_is_that_of_the_address():
    found = kept(0.3, seed=5)
    numbers = draws(noise_key(5, 0, "weight"), 0, 64 * 64).reshape(64, 64)
    np.testing.assert_array_equal(found, numbers < 0.3 * DRAWS)


@given(DENSITIES, DENSITIES, st.integers(0, 99))
def test_masks_are_nested_in_density(one, other, seed):
    less, more = sorted((one, other))
    assert not (kept(less, seed) & ~kept(more, seed)).any()


@given(DENSITIES, st.integers(0, 99))
def test_the_number_of_survivors_is_binomial(density, seed):
    survivors, count = int(kept(density, seed).sum()), 64 * 64
    deviation = np.sqrt(count * density * (1 - density))
    assert abs(survivors - density * count) < 5.5 * deviation


def test_the_number_of_survivors_varies_as_much_as_it_should():
    counts = [int(kept(0.3, seed).sum()) for seed in range(200)]
    assert np.mean(counts) == pytest.approx(0.3 * 4096, abs=5 * np.sqrt(0.21 * 4096 / 200))
    assert np.std(counts) == pytest.approx(np.sqrt(0.21 * 4096), rel=0.2)


@pytest.mark.parametrize("rescale", [False, True, "l1", "density"])
@pytest.mark.parametrize(("density", "result"), [(1.0, 1), (1.7, 1), (0.0, 0), (-0.5, 0)])
def test_densities_at_and_beyond_the_ends_keep_everything_or_nothing(density, result, rescale):
    np.testing.assert_array_equal(dare(ones(), density=[density], rescale=rescale), result)


@given(DENSITIES, st.integers(0, 99))
def test_rescaled_to_l1_it_keeps_the_norm(density, seed):
    _, (delta,) = family(seed, (40, 50), 1)
    for rescale in (True, "l1"):
        found = dare(delta, density=[density], rescale=rescale)
        assert np.abs(found).sum() == pytest.approx(np.abs(delta).sum(), rel=1e-5)


@given(DENSITIES, st.integers(0, 99))
def test_rescaled_by_density_survivors_are_divided_by_it(density, seed):
    _, (delta,) = family(seed, (40, 50), 1)
    found = dare(delta, density=[density], rescale="density", seed=seed)
    mask = kept(density, seed, delta.shape)
    np.testing.assert_allclose(found, np.where(mask, delta / np.float32(density), 0), rtol=1e-6)


def test_rescaled_by_density_the_expectation_is_the_task_vector():
    _, (delta,) = family(0, (10, 12), 1)
    found = [dare(delta, density=[0.3], rescale="density", seed=seed) for seed in range(1000)]
    error = np.mean(found, axis=0) - delta
    deviation = np.abs(delta) * np.sqrt((1 / 0.3 - 1) / 1000)
    assert (np.abs(error) <= 5 * deviation + 1e-6).all()


def test_without_rescaling_survivors_stay_as_they_are():
    _, (delta,) = family(0, (40, 50), 1)
    found = dare(delta, density=[0.4])
    np.testing.assert_array_equal(found[found != 0], delta[found != 0])


def test_every_model_has_a_mask_of_its_own():
    base = np.zeros((64, 64), np.float32)
    found = merged(
        "dare_linear",
        [ones(), 2 * ones()],
        base=base,
        weight=[1.0, 1.0],
        density=[0.5, 0.5],
        rescale=False,
    )
    counts = np.bincount(found.astype(int).ravel(), minlength=4)
    assert (np.abs(counts - 1024) < 5 * np.sqrt(4096 * 3 / 16)).all()


def test_a_model_of_density_one_stays_whole_beside_others():
    base = np.zeros((64, 64), np.float32)
    options = {"base": base, "density": [0.5, 1.0], "weight": [0.0, 1.0]}
    np.testing.assert_array_equal(merged("dare_linear", [ones(), ones()], **options), ones())


@given(DENSITIES, st.integers(0, 99))
def test_one_model_needs_no_election(density, seed):
    _, (delta,) = family(seed, (40, 50), 1)
    options = {"density": [density], "rescale": True, "seed": seed}
    np.testing.assert_array_equal(
        dare(delta, **options), dare(delta, method="dare_ties", **options)
    )


def test_survivors_elect():
    # With all signs equal, dropped votes do not divide.
    base = np.zeros((64, 64), np.float32)
    options = {"base": base, "weight": [1.0, 1.0], "density": [0.5, 0.5], "rescale": False}
    models = [ones(), 3 * ones()]
    found = merged("dare_ties", models, normalize=True, **options)
    assert set(np.unique(found)) == {0.0, 1.0, 2.0, 3.0}
    opposed = merged("dare_ties", [ones(), -3 * ones()], normalize=True, **options)
    assert set(np.unique(opposed)) == {0.0, 1.0, -3.0}
