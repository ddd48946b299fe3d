"""The primitives as compiled CPU kernels: blocks are NumPy arrays of bfloat16 or float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from evomerge.dtypes import BFLOAT16
from evomerge.kernels import folds, loops
from evomerge.kernels.block import Block, Counts, NDArray
from evomerge.kernels.sums import Election, Floats, Shares
from evomerge.kernels.thinning import (
    EVERY_POSITION,
    NOTHING_ABOVE,
    Chance,
    Cuts,
    Kept,
    Ranked,
    Thinning,
    Window,
)
from evomerge.noise import DRAWS

# The bits of infinity as float32: those of NaN lie above.
INFINITY = 0x7F800000

_NO_CUTS: NDArray = np.zeros((2, 0, 0), np.int64)
_NO_THRESHOLDS: NDArray = np.zeros(0, np.int64)
_NO_GAINS: NDArray = np.zeros((0, 0), np.uint8)


def weighted_sum(block: Block, shares: Shares) -> NDArray:
    """See ``primitives.weighted_sum``."""
    values = shares.values.astype(np.float32)
    inputs, out = _inputs(block), _out(block)
    if shares.per == "column":
        loops.weighted_columns(inputs, values, block.where.offset, _flat(out))
    elif shares.per == "row":
        rows = values[:, block.where.row : block.where.row + block.rows]
        loops.weighted_sum(inputs, np.ascontiguousarray(rows), block.where.columns, _flat(out))
    else:
        loops.weighted_sum(inputs, values[:, None], block.size, _flat(out))
    return out


def elected_sum(block: Block, election: Election) -> NDArray:
    """See ``primitives.elected_sum``."""
    out = _out(block)
    vote = loops.Vote(
        election.factors.astype(np.float32),
        election.weights.astype(np.float32),
        election.elect,
        election.normalize,
        np.float32(election.scale),
    )
    loops.elected_sum(_inputs(block), _thin(block, election.thinning), vote, _flat(out))
    return out


def all_finite(block: Block) -> list[bool]:
    """See ``Engine.all_finite``."""
    arrays = [*block.inputs, *([] if block.base is None else [block.base])]
    return [
        folds.largest(np.uint64(_address(array)), _like(array), array.size) < INFINITY
        for array in map(np.asarray, arrays)
    ]


def gram(block: Block, span: int) -> Floats:
    """See ``Engine.gram``."""
    models = len(block.inputs)
    out = np.empty((-(-block.size // span), models, models))
    folds.gram(_inputs(block), span, out)
    return out


def column_gram(block: Block, total: Floats) -> None:
    """See ``Engine.column_gram``."""
    folds.column_gram(_inputs(block), block.where.offset, total)


def magnitude_sums(block: Block, thinning: Thinning) -> Floats:
    """See ``Engine.magnitude_sums``."""
    span = block.where.tile
    out = np.empty((-(-block.size // span), len(block.inputs)))
    folds.magnitude_sums(_inputs(block), _thin(block, thinning), span, out)
    return out


def count_magnitudes(block: Block, counts: Counts) -> None:
    """See ``Engine.count_magnitudes``."""
    folds.count_magnitudes(_inputs(block), counts)


def count_within(block: Block, models: Counts, bins: Counts, counts: Counts) -> None:
    """See ``Engine.count_within``."""
    folds.count_within(_inputs(block), models, bins.astype(np.int32), counts)


def nth_equal(block: Block, model: int, bits: int, nth: int) -> tuple[int, int]:
    """See ``Engine.nth_equal``."""
    inside, left = folds.nth_equal(_inputs(block), model, bits, nth)
    return int(inside), int(left)


def ranked_chance(block: Block, thresholds: Counts) -> npt.NDArray[np.uint8]:
    """See ``Engine.ranked_chance``."""
    return np.stack([np.packbits(kept, axis=1) for kept, _ in _ranked(block, thresholds)])


def row_cuts(block: Block, ranks: Counts) -> Cuts:
    """See ``Engine.row_cuts``."""
    rows, columns = block.rows, block.where.columns
    keys = np.empty((rows, columns), np.uint64)
    starts = block.where.offset + columns * np.arange(rows)
    bits = np.full((len(ranks), rows), NOTHING_ABOVE, np.int64)
    positions = np.zeros((len(ranks), rows), np.int64)
    for model, rank in enumerate(ranks):
        if rank >= columns:
            bits[model], positions[model] = 0, EVERY_POSITION
        elif rank > 0:
            folds.order_keys(_inputs(block), model, keys, reverse=True)
            keys.partition(columns - rank, axis=1)
            cut = keys[:, columns - rank].astype(np.int64)
            bits[model] = cut >> 32
            positions[model] = starts + columns - (cut & 0xFFFFFFFF)
    return Cuts(bits, positions)


def _address(array: NDArray) -> int:
    return int(array.__array_interface__["data"][0])


def _like(array: NDArray) -> NDArray:
    """A zero-length array of the element type the kernels are compiled for."""
    return np.empty(0, np.uint16 if array.dtype == BFLOAT16 else np.float32)


def _flat(array: NDArray) -> NDArray:
    return array.view(np.uint16 if array.dtype == BFLOAT16 else np.float32).reshape(-1)


def _inputs(block: Block) -> loops.Inputs:
    arrays = [np.asarray(array) for array in block.inputs]
    addresses = np.array([_address(array) for array in arrays], np.uint64)
    base = 0 if block.base is None else _address(np.asarray(block.base))
    return loops.Inputs(addresses, np.uint64(base), block.size, _like(arrays[0]))


def _out(block: Block) -> NDArray:
    if block.out is not None:
        return block.out
    return np.empty((block.rows, block.where.columns), np.float32)


def _ranked(
    block: Block, thresholds: Counts
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]]:
    """For each model what survives, ``(rows, columns)`` uint8, and the sorted keys of the rows."""
    shape = (block.rows, block.where.columns)
    keys, kept = np.empty(shape, np.uint64), np.empty(shape, np.uint8)
    limits = np.minimum(thresholds, DRAWS - 1).astype(np.uint32)
    for model, noise in enumerate(block.where.keys):
        folds.order_keys(_inputs(block), model, keys, reverse=False)
        keys.sort(axis=1)
        if thresholds[model].min() >= DRAWS:  # kept whole: no draw is too large
            kept.fill(1)
        else:
            drawn_by = np.asarray(noise, np.uint32)
            folds.mark_drawn(keys, limits[model], drawn_by, block.where.offset, kept)
        yield kept, keys


def _gains(block: Block, ranked: Ranked) -> NDArray:
    out = np.empty((len(block.inputs), block.rows, block.where.columns), np.float32)
    by_rank = ranked.gains.astype(np.float32)
    for model, (kept, keys) in enumerate(_ranked(block, ranked.thresholds)):
        folds.gain_by_rank(keys, by_rank[model], kept, out[model])
    return out.reshape(len(out), -1)


def _unpacked(block: Block, kept: Kept) -> NDArray:
    first = block.where.row
    rows = kept.bits[:, first : first + block.rows]
    flags = np.unpackbits(rows, axis=2, count=block.where.columns)
    return flags.reshape(len(rows), -1)


def _thin(block: Block, thinning: Thinning) -> loops.Thin:
    mode, width, first_group = loops.ALL, max(block.size, 1), 0
    bits = positions = _NO_CUTS
    thresholds, gains = _NO_THRESHOLDS, _NO_GAINS
    if isinstance(thinning, Window):
        mode = loops.WINDOW
        bits = np.stack([thinning.low.bits, thinning.high.bits])
        positions = np.stack([thinning.low.positions, thinning.high.positions])
    elif isinstance(thinning, Chance):
        mode, thresholds = loops.CHANCE, thinning.thresholds
    elif isinstance(thinning, Kept):
        mode, gains = loops.GAINS, _unpacked(block, thinning)
    elif isinstance(thinning, Ranked):
        mode, gains = loops.GAINS, _gains(block, thinning)
    if bits.shape[2] > 1:
        width, first_group = block.where.columns, block.where.row
    keys = np.array(block.where.keys, np.uint32).reshape(-1, 2)
    where = block.where
    return loops.Thin(
        mode, bits, positions, thresholds, keys, gains, width, first_group, where.offset, where.pool
    )
