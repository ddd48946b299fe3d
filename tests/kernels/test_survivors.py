"""Norms of what a chance leaves: the sums of the general loops, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import fused, primitives
from evomerge.kernels.thinning import Chance, Kept
from evomerge.noise import draws
from tests.kernels.in_blocks import blocks_of, deltas, models

DENSITIES = st.sampled_from([0.0, 1e-9, 0.3, 0.9, 1.0])


def drawn_bits(blocks, chance: Chance) -> np.ndarray:
    """``(models, rows, bytes)`` packed bits of what survives, by the definition of the noise."""
    rows = sum(block.rows for block in blocks)
    where = blocks[0].where
    kept = [
        draws(key, where.offset, rows * where.columns) < threshold
        for key, threshold in zip(where.keys, chance.thresholds, strict=True)
    ]
    return np.packbits(np.reshape(kept, (len(kept), rows, where.columns)), axis=2)


def same_sums(inputs, base, densities, **placed) -> None:
    """As the general loops have it, which are told of each element whether it survives."""
    chance = Chance.of(densities)
    for block in blocks_of(inputs, base, **placed):
        bits = np.zeros((len(inputs), block.where.row, -(-block.where.columns // 8)), np.uint8)
        known = Kept(np.concatenate([bits, drawn_bits([block], chance)], axis=1))
        for before in (False, True):
            ours = fused.magnitude_sums(block, chance, before=before)
            theirs = fused.magnitude_sums(block, known, before=before)
            assert ours.tobytes() == theirs.tobytes()


@given(st.data(), models())
def test_any_models_in_any_blocks(data, found):
    inputs, base = found
    densities = tuple(data.draw(DENSITIES) for _ in inputs)
    same_sums(inputs, base, densities, height=2, tile_rows=1)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_rows_that_end_within_a_lane(count, dtype):
    rng = np.random.default_rng(count)
    base, *inputs = rng.standard_normal((count + 1, 5, 1300)).astype(dtype)
    same_sums(inputs, base, (0.4,) * count, height=4, tile_rows=3)


@pytest.mark.parametrize("density", [0.0, 0.5, 1.0])
def test_what_is_not_finite_counts_only_if_it_survives(density):
    inputs = np.ones((2, 3, 40), np.float32)
    inputs[0, 1, 7], inputs[1, 2] = np.nan, np.inf
    same_sums(list(inputs), None, (density, density))


def test_indices_beyond_32_bits():
    """Within the block the low half of the index begins again at zero."""
    columns = 48
    row = (1 << 32) // columns
    assert 0 < (1 << 32) - row * columns < columns
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((2, columns)).astype(np.float32)]
    (block,) = blocks_of(inputs, row=row)
    chance = Chance.of((0.5,))
    kept = np.unpackbits(drawn_bits([block], chance)[0], axis=1, count=columns)
    (norm,) = primitives.magnitude_sums([block], chance)
    expected = (np.abs(deltas(inputs, None)[0]) * kept).sum(dtype=np.float64)
    np.testing.assert_allclose(norm, expected, rtol=1e-14)
