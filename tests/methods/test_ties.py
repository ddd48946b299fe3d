"""Promises of TIES: trim, elect, merge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

# One value a row: three task vectors over eight elements, worked out below.
DELTAS = np.array(
    [
        [4.0, -3.0, 2.0, 1.0, 0.5, 0.0, -8.0, 1.0],
        [2.0, 6.0, -2.0, 1.0, 0.25, 0.0, 4.0, -3.0],
        [-1.0, 0.5, 7.0, -5.0, 0.5, 0.0, 4.0, 2.0],
    ],
    np.float32,
)
BASE = np.arange(8, dtype=np.float32)


def ties(deltas, weights=None, **options):
    weights = [1.0] * len(deltas) if weights is None else weights
    arrays = [BASE[: len(delta)] + delta for delta in deltas]
    return merged("ties", arrays, base=BASE[: len(deltas[0])], weight=weights, **options)


def test_election_by_hand():
    # Sums 5, 3.5, 7, -3, 1.25, 0, 0, 0: a sum of zero elects plus.
    expected = [6 / 2, 6.5 / 2, 9 / 2, -5.0, 1.25 / 3, 0.0, 8 / 2, 3 / 2]
    np.testing.assert_allclose(ties(DELTAS) - BASE, expected, rtol=1e-6, atol=1e-6)


def test_trimming_by_hand():
    # Half of eight: the four largest of each model; of the second model's 2 and -2 the first.
    trimmed = np.array(
        [
            [4.0, -3.0, 2.0, 0, 0, 0, -8.0, 0],
            [2.0, 6.0, 0, 0, 0, 0, 4.0, -3.0],
            [0, 0, 7.0, -5.0, 0, 0, 4.0, 2.0],
        ],
        np.float32,
    )
    np.testing.assert_array_equal(ties(DELTAS, density=0.5), ties(trimmed))


def element_by_element(weights, normalize=True, lambda_=1.0):
    """One element after the other, as the paper says it."""
    for column in DELTAS.T.tolist():
        votes = [weight * value for weight, value in zip(weights, column, strict=True)]
        sign = 1 if sum(votes) >= 0 else -1
        agreeing = [i for i, vote in enumerate(votes) if vote * sign > 0]
        divisor = sum(weights[i] for i in agreeing) if normalize else 1.0
        yield lambda_ * sum(votes[i] for i in agreeing) / (divisor or 1.0)


@pytest.mark.parametrize("weights", [[1, 1, 1], [3, 1, 1], [0.5, 2, 0], [1, 1, -1], [-1, -1, 2]])
@pytest.mark.parametrize("options", [{}, {"normalize": False}, {"lambda_": 2.0}], ids=str)
def test_weights_vote_and_divide(weights, options):
    expected = list(element_by_element(weights, **options))
    np.testing.assert_allclose(ties(DELTAS, weights, **options) - BASE, expected, atol=1e-5)


def test_a_negative_weight_turns_its_vote():
    # Votes 4, 2 and +1 in the first element; 1, 1 and +5 in the fourth, over 1 + 1 - 1.
    found = ties(DELTAS, [1, 1, -1]) - BASE
    assert found[[0, 3]].tolist() == [7.0, 7.0]


@given(st.integers(0, 99), st.floats(0.01, 0.99))
def test_exactly_k_elements_are_kept(seed, density):
    base, (model,) = family(seed, (8, 9), 1)
    model[:4] = base[:4] + np.float32(0.0625)  # many of one magnitude, nearly
    found = merged("ties", [model], base=base, weight=[1.0], density=[density])
    moved = int((found != base).sum())
    assert moved == min(max(1, int(density * 72)), int((model != base).sum()))


@given(st.integers(0, 99), st.floats(0.01, 0.99))
def test_what_is_kept_is_no_smaller_than_what_is_dropped(seed, density):
    base, (model,) = family(seed, (8, 9), 1)
    kept = merged("ties", [model], base=base, weight=[1.0], density=[density]) != base
    delta = np.abs(model - base)
    assert delta[kept].min() >= delta[~kept].max()


@given(st.integers(0, 99), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_trims_are_nested_in_density(seed, one, other):
    base, (model,) = family(seed, (8, 9), 1)
    less, more = (
        merged("ties", [model], base=base, weight=[1.0], density=[density]) != base
        for density in sorted((one, other))
    )
    assert not (less & ~more).any()


@pytest.mark.parametrize(("density", "kept"), [(1.5, 1.0), (1.0, 1.0), (0.0, 0.0), (-0.5, 0.0)])
def test_densities_outside_keep_everything_or_nothing(density, kept):
    found = ties(DELTAS[:1], [1.0], density=[density])
    np.testing.assert_array_equal(found, BASE + kept * DELTAS[0])


def test_the_smallest_density_keeps_one_element():
    found = ties(DELTAS[:1], [1.0], density=[1e-9]) - BASE
    np.testing.assert_array_equal(found, [0, 0, 0, 0, 0, 0, -8, 0])


def test_rescaling_restores_the_norm_of_each_task_vector():
    found = ties(DELTAS[:1], [1.0], density=[0.25], rescale=True) - BASE
    np.testing.assert_allclose(found, 19.5 / 12 * np.array([4, 0, 0, 0, 0, 0, -8, 0]), rtol=1e-6)


@given(st.integers(0, 99))
def test_lambda_scales_the_merged_task_vector(seed):
    base, models = family(seed, (8, 9), 3)
    options = {"base": base, "weight": [1.0, 0.5, 2.0], "density": [0.5, 0.7, 1.0]}
    once = merged("ties", models, **options) - base
    twice = merged("ties", models, lambda_=2.0, **options) - base
    np.testing.assert_allclose(twice, 2 * once, atol=1e-6)


def test_an_even_number_of_opposites_elects_plus():
    base = np.zeros(2, np.float32)
    models = [np.array(x, np.float32) for x in ([1, -1], [-1, 1], [2, -2], [-2, 2])]
    found = merged("ties", models, base=base, weight=[1.0] * 4)
    np.testing.assert_array_equal(found, [1.5, 1.5])
