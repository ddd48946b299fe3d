"""Arrays as the blocks that kernels see, and the data that brings out their differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import fused, reference
from evomerge.kernels.block import Block, Where
from evomerge.kernels.torch_arrays import to_torch
from evomerge.noise import noise_key

ENGINES = {"fused": fused, "torch": reference}

# Ties, both zeros, numbers below the normal range, and the far ends of it.
AWKWARD = [0.0, -0.0, 1.0, -1.0, 1.5, 0.5, -0.5, 1e-45, -1e-45, 1e-40, 1e-38, 1e30, -1e30, 3.0]
NUMBERS = st.sampled_from(AWKWARD) | st.floats(-(2.0**100), 2.0**100, width=32)


def blocks_of(
    inputs: Sequence[np.ndarray],
    base: np.ndarray | None = None,
    *,
    engine=fused,
    height: int | None = None,
    row: int = 0,
    tile_rows: int | None = None,
    pool: int = 0,
) -> list[Block]:
    """Arrays ``(rows, columns)`` in blocks of ``height`` rows, the first one being ``row``."""
    rows, columns = inputs[0].shape
    height = height or max(rows, 1)
    keys = tuple(noise_key(0, model, "weight") for model in range(len(inputs)))
    move = to_torch if engine is reference else np.asarray
    blocks = []
    for start in range(0, rows, height):
        cut = slice(start, start + height)
        where = Where(row + start, columns, (tile_rows or height) * columns, keys, pool)
        moved = [move(array[cut].copy()) for array in inputs]
        of_base = None if base is None else move(base[cut].copy())
        blocks.append(Block(moved, of_base, None, where, engine))
    return blocks


def whole(primitive, blocks: Sequence[Block], *arguments) -> np.ndarray:
    """The results of an elementwise primitive on all blocks, in one array of float32."""
    return np.concatenate([np.asarray(primitive(block, *arguments)) for block in blocks])


@st.composite
def models(draw, *, most: int = 4, base: bool | None = None, dtype=None):
    """``(inputs, base or None)``: arrays ``(rows, columns)`` of one type."""
    count = draw(st.integers(1, most))
    shape = (draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3, 5, 17, 40])))
    with_base = draw(st.booleans()) if base is None else base
    found = draw(arrays(np.float32, (count + with_base, *shape), elements=NUMBERS))
    kind = dtype or draw(st.sampled_from([FLOAT32, BFLOAT16]))
    found = found.astype(kind)
    return list(found[:count]), found[count] if with_base else None


def deltas(inputs, base) -> np.ndarray:
    """``(models, rows, columns)``, float32: what primitives work on."""
    wide = np.stack([array.astype(np.float32) for array in inputs])
    return wide if base is None else wide - base.astype(np.float32)


def same_bits(left: np.ndarray, right: np.ndarray) -> None:
    """Equal as bit patterns: zeros of different sign are different."""
    assert left.dtype == right.dtype
    np.testing.assert_array_equal(left.view(np.uint32), right.view(np.uint32))
