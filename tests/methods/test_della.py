"""Promises of DELLA: large changes survive more often, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import MergeError
from evomerge.methods.sparsify import rank_probabilities
from tests.methods.in_memory import family, merged

ROWS = 4000
# In every row the same six magnitudes, signed, not in order.
ROW = np.array([0.5, -3.0, 1.0, 2.0, -0.25, 4.0], np.float32)
RANKS = np.argsort(np.argsort(np.abs(ROW)))
CHANCES = (0.4 - 0.3 + 0.6 * np.arange(6) / 5)[RANKS]


def della(delta, method="della_linear", **options):
    """The thinned task vector of one model, on a base of zeros."""
    options = {"weight": [1.0], "rescale": False} | options
    return merged(method, [delta], base=np.zeros_like(delta), **options)


def many(**options):
    rows = np.tile(ROW, (ROWS, 1))
    return della(rows, density=[0.4], epsilon=[0.3], **options)


def test_chances_rise_with_rank_by_hand():
    found = rank_probabilities(np.array([0.4, 0.5]), np.array([0.3, 0.1]), 3)
    np.testing.assert_allclose(found, [[0.1, 0.4, 0.7], [0.4, 0.5, 0.6]])


def test_outside_densities_have_no_ranks():
    densities, epsilons = np.array([1.0, 1.5, 0.0, -1.0]), np.full(4, 0.1)
    found = rank_probabilities(densities, epsilons, 5)
    np.testing.assert_array_equal(found, np.repeat([[1], [1], [0], [0]], 5, axis=1))


def test_a_row_of_one_has_the_density_itself():
    np.testing.assert_array_equal(rank_probabilities(np.array([0.4]), np.array([0.3]), 1), [[0.4]])


def test_survivors_follow_their_rank():
    counts = (many() != 0).sum(axis=0)
    deviation = np.sqrt(ROWS * CHANCES * (1 - CHANCES))
    assert (np.abs(counts - ROWS * CHANCES) < 5 * deviation).all()


def test_divided_by_its_chance_every_element_is_right_on_average():
    found = many(rescale="probability")
    survivors = np.broadcast_to(ROW / CHANCES.astype(np.float32), found.shape)[found != 0]
    np.testing.assert_allclose(found[found != 0], survivors, rtol=1e-6)
    deviation = np.abs(ROW) * np.sqrt((1 / CHANCES - 1) / ROWS)
    assert (np.abs(found.mean(axis=0) - ROW) < 5 * deviation).all()


@pytest.mark.parametrize("rescale", [True, "l1"])
def test_rescaled_to_l1_it_keeps_the_norm_and_favours_the_large(rescale):
    found = many(rescale=rescale)
    assert np.abs(found).sum() == pytest.approx(ROWS * np.abs(ROW).sum(), rel=1e-5)
    gains = np.abs(found).mean(axis=0) / np.abs(ROW)
    assert (np.diff(gains[np.argsort(RANKS)]) > 0).all()


@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_without_a_difference_in_chance_it_is_dare(seed, density):
    _, (delta,) = family(seed, (9, 40), 1)
    for rescale in (True, False):
        options = {"density": [density], "rescale": rescale, "seed": seed}
        expected = della(delta, method="dare_linear", **options)
        np.testing.assert_array_equal(della(delta, epsilon=[0.0], **options), expected)


@given(st.integers(0, 99), st.floats(0.3, 0.7))
def test_ranks_are_taken_row_by_row(seed, density):
    # Making a row larger changes nobody's rank.
    _, (delta,) = family(seed, (9, 40), 1)
    scale = 4.0 ** np.arange(9, dtype=np.float32)[:, None]
    options = {"density": [density], "epsilon": [0.25]}
    plain, scaled = della(delta, **options), della(scale * delta, **options)
    np.testing.assert_array_equal(scale * plain, scaled)


def test_a_tensor_of_three_axes_is_ranked_along_its_last():
    _, (delta,) = family(0, (3, 4, 10), 1)
    options = {"density": [0.5], "epsilon": [0.4]}
    flat = della(delta.reshape(12, 10), **options)
    np.testing.assert_array_equal(della(delta, **options), flat.reshape(3, 4, 10))


@pytest.mark.parametrize(("density", "result"), [(1.0, 1), (2.0, 1), (0.0, 0), (-1.0, 0)])
@pytest.mark.parametrize("rescale", [False, "l1", "probability"])
def test_densities_at_and_beyond_the_ends_keep_everything_or_nothing(density, result, rescale):
    delta = np.tile(ROW, (5, 1))
    np.testing.assert_array_equal(della(delta, density=[density], rescale=rescale), result * delta)


@pytest.mark.parametrize("rescale", [False, "l1", "probability"])
def test_a_model_of_density_one_stays_whole_beside_others(rescale):
    delta = np.tile(ROW, (50, 1))
    found = merged(
        "della_linear",
        [delta, delta],
        base=np.zeros_like(delta),
        density=[0.5, 1.0],
        weight=[0.0, 1.0],
        rescale=rescale,
    )
    np.testing.assert_array_equal(found, delta)


@pytest.mark.parametrize(
    ("density", "epsilon", "largest"),
    [(0.5, 0.5, "0.5"), (0.1, 0.15, "0.1"), (0.9, 0.15, "0.1"), (0.4, 0.4, "0.4")],
)
def test_chances_outside_zero_and_one_are_refused(density, epsilon, largest):
    message = rf"epsilon {epsilon:g} does not fit density {density:g}; .*epsilon below {largest}$"
    with pytest.raises(MergeError, match=message):
        della(np.tile(ROW, (5, 1)), density=[density], epsilon=[epsilon])


@pytest.mark.parametrize(("density", "epsilon"), [(0.5, 0.499), (1.0, 0.5), (0.0, 0.5)])
def test_chances_inside_are_taken(density, epsilon):
    della(np.tile(ROW, (5, 1)), density=[density], epsilon=[epsilon])


def test_election_divides_by_default():
    base = np.zeros((64, 64), np.float32)
    ones = base + 1
    options = {"base": base, "weight": [1.0, 1.0], "density": [0.5, 0.5], "rescale": False}
    found = merged("della", [ones, 3 * ones], **options)
    assert set(np.unique(found)) == {0.0, 1.0, 2.0, 3.0}
    assert set(np.unique(merged("della_linear", [ones, 3 * ones], **options))) == {0, 1, 3, 4}
