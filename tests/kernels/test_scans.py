"""Rare magnitudes are found wherever they stand: at the seams of stretches, and of spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import fused, reference
from evomerge.kernels.primitives import tallies
from evomerge.kernels.scans import SPAN, STRETCH
from tests.kernels.in_blocks import blocks_of

SIZES = st.sampled_from([1, STRETCH - 1, STRETCH + 1, SPAN, SPAN + STRETCH + 3, 3 * SPAN + 1])
# Of one upper bin the first two; the others lie in the bins beside it.
VALUES = np.array([1.0, 1.0 + 2.0**-20, 1.0 - 2.0**-20, 1.0078125, -1.0, 0.0], np.float32)


def drawn(seed: int, models: int, size: int) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.choice(np.array([0.0, 4.0], np.float32), (1, size))
    # Differences that float32 holds exactly where the base is not too large.
    deltas = rng.choice(VALUES, (models, 1, size), p=[0.01, 0.01, 0.01, 0.01, 0.01, 0.95])
    return [base + delta for delta in deltas.astype(np.float32)], base


def magnitudes(inputs: list[np.ndarray], base: np.ndarray) -> np.ndarray:
    """``(models, elements)``: the bits of each task vector's magnitudes."""
    return np.stack([np.abs(array - base).ravel().view(np.int32) for array in inputs])


@given(st.integers(0, 99), st.integers(1, 3), SIZES, st.data())
def test_counts_are_those_of_a_plain_look(seed: int, models: int, size: int, data):
    inputs, base = drawn(seed, models, size)
    bits = magnitudes(inputs, base)
    asked = data.draw(st.permutations(range(models)))[: data.draw(st.integers(1, models))]
    upper = np.array([data.draw(st.sampled_from([0x3F80, 0x3F7F, 0])) for _ in asked])
    counts = np.zeros((len(asked), 1 << 16), np.int64)
    for block in blocks_of(inputs, base):
        fused.count_within(block, np.array(asked), upper, counts)
    for row, model, bin_ in zip(counts, asked, upper, strict=True):
        inside = bits[model][bits[model] >> 16 == bin_] & 0xFFFF
        np.testing.assert_array_equal(row, np.bincount(inside, minlength=1 << 16))


@given(st.integers(0, 99), SIZES, st.integers(1, 60))
def test_the_nth_is_where_it_stands(seed: int, size: int, nth: int):
    inputs, base = drawn(seed, 2, size)
    for model, bits in enumerate(magnitudes(inputs, base)):
        wanted = int(np.float32(1).view(np.int32))
        places = np.flatnonzero(bits == wanted)
        (block,) = blocks_of(inputs, base)
        missing = nth - len(places)
        expected = (-1, missing) if missing > 0 else (places[nth - 1], 0)
        assert fused.nth_equal(block, model, wanted, nth) == expected


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_models_may_be_looked_at_without_a_base(dtype):
    array = np.zeros((1, SPAN + 5))
    array[0, [3, SPAN, SPAN + 4]] = -1, 1, 1
    (block,) = blocks_of([array.astype(dtype)])
    assert fused.nth_equal(block, 0, 0x3F800000, 3) == (SPAN + 4, 0)
    counts = np.zeros((1, 1 << 16), np.int64)
    fused.count_within(block, np.array([0]), np.array([0x3F80]), counts)
    assert counts[0, 0] == 3


@given(st.integers(0, 99), st.integers(1, 3), SIZES)
def test_tallies_name_every_magnitude_once(seed: int, models: int, size: int):
    inputs, base = drawn(seed, models, size)
    found = tallies(blocks_of(inputs, base), models, 99)
    for (bits, counts), expected in zip(found, magnitudes(inputs, base), strict=True):
        values, times = np.unique(expected, return_counts=True)
        np.testing.assert_array_equal(bits, values)
        np.testing.assert_array_equal(counts, times)


@pytest.mark.parametrize("beyond", [0, 1])
def test_too_many_magnitudes_are_not_tallied(beyond: int):
    """Also when they come in several blocks."""
    array = np.arange(4096 + beyond, dtype=np.float32)[:, None]
    found = tallies(blocks_of([array], height=1000), 1, 4096)
    assert (found is None) == bool(beyond)
    assert tallies(blocks_of([array[:5]], engine=reference), 1, 99) is None
