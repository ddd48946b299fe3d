"""Promises of task arithmetic: base and task vectors, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.in_memory import family, merged

WEIGHTS = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=5)


def arithmetic(base, models, weights, **options):
    arrays = [np.array(x, np.float32) for x in models]
    return merged(
        "task_arithmetic", arrays, base=np.array(base, np.float32), weight=list(weights), **options
    )


@given(st.integers(0, 99), WEIGHTS, st.floats(-2, 2, width=32))
def test_it_adds_task_vectors(seed, weights, scale):
    base, models = family(seed, (6, 7), len(weights), change=1.0)
    found = arithmetic(base, models, weights, lambda_=scale)
    deltas = np.stack(models).astype(np.float64) - base
    expected = base + scale * np.tensordot(weights, deltas, 1)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@given(st.integers(0, 99))
def test_negation_takes_a_skill_away_again(seed):
    base, (model,) = family(seed, (6, 7), 1)
    worse = arithmetic(base, [model], [-1])
    np.testing.assert_allclose(worse, 2 * base - model, atol=1e-6)


@given(st.integers(0, 99))
def test_analogies(seed):
    base, (b, a, c) = family(seed, (6, 7), 3)
    np.testing.assert_allclose(arithmetic(base, [b, a, c], [1, -1, 1]), c + b - a, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "options", "result"),
    [
        ([1, 1], {}, [3.0, 1.0]),
        ([1, 1], {"normalize": True}, [2.0, 1.0]),
        ([1, 1], {"lambda_": 0.5}, [2.0, 1.0]),
        ([2, 1], {"normalize": True}, [1 + 2.5 / 3, 1 + 1 / 3]),
        ([1, -1], {"normalize": True}, [0.0, 3.0]),  # a sum of zero does not divide
        ([0, 0], {}, [1.0, 1.0]),
    ],
)
def test_by_hand(weights, options, result):
    # Task vectors (0.5, 1) and (1.5, -1).
    found = arithmetic([1, 1], [[1.5, 2], [2.5, 0]], weights, **options)
    np.testing.assert_allclose(found, result, rtol=1e-6)


@pytest.mark.parametrize(
    "unused", [{"density": 0.1}, {"rescale": True}, {"int8_mask": True}], ids=str
)
def test_what_mergekit_ignores_is_ignored(unused):
    base, models = family(0, (6, 7), 2)
    np.testing.assert_array_equal(
        arithmetic(base, models, [1, 1], **unused), arithmetic(base, models, [1, 1])
    )
