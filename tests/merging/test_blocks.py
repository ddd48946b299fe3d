"""Promises of `TensorBlocks`: all rows, once, in order, as often as asked, whoever reads beside."""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from evomerge.kernels import fused
from evomerge.kernels.block import TILE
from evomerge.merging import blocks
from evomerge.merging.blocks import Arena, Reading, TensorBlocks
from evomerge.merging.inputs import Input
from tests.methods.in_memory import ArraySource, tensor_blocks

SHAPES = [(), (1,), (100_000,), (1, 3), (300, 1000), (2, 70_001), (3, 100, 301), (70_001, 1)]


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gathered(walk):
    """The rows of the first model, copied as they come by."""
    return np.concatenate([np.array(block.inputs[0]) for block in walk])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_row_comes_once_and_in_order(shape):
    array = numbers(shape)
    walk = tensor_blocks([array])
    rows = 0
    for block in walk:
        assert block.where.row == rows
        rows += block.rows
    np.testing.assert_array_equal(gathered(walk).reshape(shape), array)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("tiles", [1, 2, 50])
def test_blocks_are_whole_tiles_and_tiles_do_not_depend_on_blocks(shape, tiles, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", tiles * TILE)
    walk = list(tensor_blocks([numbers(shape)]))
    assert len({block.where.tile for block in walk}) == 1
    assert all(block.where.offset % block.where.tile == 0 for block in walk)
    tile = walk[0].where.tile
    assert tile % max(1, walk[0].where.columns) == 0
    assert tile <= max(TILE, walk[0].where.columns)


def test_passes_see_the_same():
    array = numbers((300, 1000))
    walk = tensor_blocks([array])
    for _ in range(4):
        np.testing.assert_array_equal(gathered(walk), array)


def test_tensors_walked_in_turn_do_not_disturb_each_other():
    # Both are kept from their second pass on, in memory of which each thread has one.
    left, right = numbers((300, 1000), 1), numbers((300, 1000), 2)
    one, other = tensor_blocks([left]), tensor_blocks([right])
    for _ in range(4):
        np.testing.assert_array_equal(gathered(one), left)
        np.testing.assert_array_equal(gathered(other), right)


def test_a_walk_that_is_broken_off_can_be_taken_up():
    array = numbers((300, 1000))
    walk = tensor_blocks([array])
    gathered(walk)
    next(iter(walk))
    np.testing.assert_array_equal(gathered(walk), array)


def test_threads_do_not_disturb_each_other():
    arrays = [numbers((300, 1000), seed) for seed in range(6)]
    walks = [tensor_blocks([array]) for array in arrays]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(4):
            found = list(pool.map(gathered, walks))
            for left, right in zip(found, arrays, strict=True):
                np.testing.assert_array_equal(left, right)


def test_a_tensor_may_go_from_one_thread_to_another_and_back():
    """What the other thread has read is overwritten there by the tensor that it reads next."""
    arrays = [numbers((300, 1000), seed) for seed in range(2)]
    mine, other = (tensor_blocks([array]) for array in arrays)
    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(1) as there:
        for thread, walk in ((here, mine), (there, mine), (there, other), (here, mine)):
            expected = arrays[walk is other]
            np.testing.assert_array_equal(thread.submit(gathered, walk).result(), expected)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16, FLOAT16], ids=str)
def test_sources_that_hand_out_views_are_read_right(dtype):
    # The kernels read memory; a transposed array has the right shape and the wrong order.
    class Turned(ArraySource):
        def load(self, name, rows=None, out=None):
            return np.asfortranarray(super().load(name, rows))

    array = numbers((40, 50)).astype(dtype)
    inputs = [Input(0, Turned(array), "weight")]
    walk = TensorBlocks(inputs, None, FLOAT32, ((0, 0),), Reading(fused))
    for block in walk:
        assert block.inputs[0].flags.c_contiguous
    total = sum(fused.gram(block, block.where.tile).sum() for block in walk)
    assert total == pytest.approx(float((array.astype(np.float64) ** 2).sum()))


@pytest.mark.parametrize(
    ("stored", "work", "seen"),
    [
        ((BFLOAT16, BFLOAT16), BFLOAT16, BFLOAT16),
        ((BFLOAT16, BFLOAT16), FLOAT32, BFLOAT16),  # exact in bfloat16, and half the memory
        ((BFLOAT16, FLOAT32), FLOAT32, FLOAT32),
        ((FLOAT32, FLOAT32), BFLOAT16, BFLOAT16),
        ((FLOAT16, FLOAT16), FLOAT16, FLOAT32),
        ((FLOAT16, FLOAT16), BFLOAT16, BFLOAT16),
        ((BFLOAT16, BFLOAT16), FLOAT16, FLOAT32),
        ((FLOAT64, FLOAT32), FLOAT32, FLOAT32),
        ((FLOAT32, FLOAT32), FLOAT64, FLOAT64),
    ],
    ids=str,
)
def test_models_are_cast_and_brought_to_one_type(stored, work, seen):
    arrays = [numbers((4, 5), seed).astype(dtype) for seed, dtype in enumerate(stored)]
    inputs = [Input(i, ArraySource(array), "weight") for i, array in enumerate(arrays)]
    walk = TensorBlocks(inputs, None, work, ((0, 0),) * 2, Reading(fused, allow_nan=True))
    for block in walk:
        for found, array in zip(block.inputs, arrays, strict=True):
            assert found.dtype == seen
            wanted = array.astype(work).astype(np.float64)
            np.testing.assert_array_equal(found.astype(np.float64), wanted)


def test_a_merge_that_nobody_waits_for_ends_at_the_next_block():
    stopped = Event()
    inputs = [Input(0, ArraySource(numbers((3000, 1000))), "weight")]
    walk = iter(TensorBlocks(inputs, None, FLOAT32, ((0, 0),), Reading(fused, stopped=stopped)))
    next(walk)
    stopped.set()
    with pytest.raises(CancelledError):
        next(walk)


@given(
    st.lists(st.tuples(st.sampled_from([BFLOAT16, FLOAT32]), st.integers(0, 99_999)), min_size=1)
)
def test_arrays_of_an_arena_do_not_overlap(wanted):
    arena = Arena()
    for _ in range(2):
        arena.clear(arena)
        found = [arena.array(dtype, (size,)) for dtype, size in wanted]
        for number, array in enumerate(found):
            array.fill(number % 100)
        for number, array in enumerate(found):
            assert (array == number % 100).all()


def test_an_arena_is_used_again():
    arena, owner = Arena(), numbers((1,))
    arena.clear(owner)
    first = arena.array(FLOAT32, (1000,))
    arena.clear(owner)
    assert np.shares_memory(first, arena.array(FLOAT32, (1000,)))
    assert arena.owner is owner
