"""The primitives as compiled CPU kernels: blocks are NumPy arrays of bfloat16 or float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evomerge.dtypes import BFLOAT16
from evomerge.kernels import divergence, few_models, folds, loops, ranking, scans, survivors
from evomerge.kernels.block import Block, Counts, NDArray
from evomerge.kernels.primitives import UPPER_BINS
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

ALL_MODELS = slice(None)

_NO_CUTS: NDArray = np.zeros((2, 0, 0), np.int64)
_NO_THRESHOLDS: NDArray = np.zeros(0, np.int64)
_NO_GAINS: NDArray = np.zeros((0, 0), np.uint8)


def weighted_sum(block: Block, shares: Shares) -> NDArray:
    """See ``primitives.weighted_sum``."""
    out = _out(block)
    if few_models.weighted_sum(block, shares, _flat(out)):
        return out
    values, inputs = shares.values.astype(np.float32), _inputs(block)
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
    if few_models.elected_sum(block, election, _flat(out)):
        return out
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


def magnitude_sums(block: Block, thinning: Thinning, *, before: bool) -> Floats:
    """See ``Engine.magnitude_sums``."""
    span = block.where.tile
    out = np.empty((-(-block.size // span), 1 + before, len(block.inputs)))
    if isinstance(thinning, Chance):
        survivors.magnitude_sums(_inputs(block), _draws(block, thinning), span, out)
    else:
        folds.magnitude_sums(_inputs(block), _thin(block, thinning), span, out)
    return out


def count_magnitudes(block: Block, counts: Counts) -> None:
    """See ``Engine.count_magnitudes``."""
    folds.count_magnitudes(_inputs(block), counts)


def count_within(block: Block, models: Counts, bins: Counts, counts: Counts) -> None:
    """See ``Engine.count_within``."""
    if len(np.unique(models)) == len(models):
        query: Counts = np.full(len(block.inputs), -1)
        query[models] = np.arange(len(models))
        scans.count_one_bin(_inputs(block), query, bins, counts)
        return
    asked = np.zeros(len(block.inputs), np.bool_)
    query_of = np.zeros((len(block.inputs), UPPER_BINS), np.int16)
    asked[models] = True
    query_of[models, bins] = 1 + np.arange(len(bins))
    folds.count_within(_inputs(block), asked, query_of, counts)


def tally(block: Block, model: int, keys: Counts, counts: Counts, room: int) -> int:
    """See ``Engine.tally``."""
    return int(scans.tally(_input(block, model), keys, counts, room))


def nth_equal(block: Block, model: int, bits: int, nth: int) -> tuple[int, int]:
    """See ``Engine.nth_equal``."""
    inside, left = scans.nth_equal(_input(block, model), bits, nth)
    return int(inside), int(left)


def ranked_chance(block: Block, thresholds: Counts) -> npt.NDArray[np.uint8]:
    """See ``Engine.ranked_chance``."""
    shape = (block.rows, block.where.columns)
    kept = np.empty(shape, np.uint8)
    packed = []
    for model, by_rank in enumerate(thresholds):
        if _one_way(by_rank):
            _decide(block, model, by_rank, kept)
        else:
            _decide_sorted(block, model, by_rank, np.empty(shape, np.uint64), kept)
        packed.append(np.packbits(kept, axis=1))
    return np.stack(packed)


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
            ranking.order_keys(_input(block, model), keys, reverse=True)
            keys.partition(columns - rank, axis=1)
            cut = keys[:, columns - rank].astype(np.int64)
            bits[model] = cut >> 32
            positions[model] = starts + columns - (cut & 0xFFFFFFFF)
    return Cuts(bits, positions)


def row_divergences(block: Block, floor: float) -> Floats:
    """See ``primitives.row_divergences``."""
    models = [np.asarray(array) for array in block.inputs]
    return divergence.row_divergences(models, np.asarray(block.base), floor)


def _address(array: NDArray) -> int:
    return int(array.__array_interface__["data"][0])


def _like(array: NDArray) -> NDArray:
    """A zero-length array of the element type the kernels are compiled for."""
    return np.empty(0, np.uint16 if array.dtype == BFLOAT16 else np.float32)


def _flat(array: NDArray) -> NDArray:
    return array.view(np.uint16 if array.dtype == BFLOAT16 else np.float32).reshape(-1)


def _input(block: Block, model: int) -> loops.Inputs:
    """One model alone."""
    return _inputs(block, slice(model, model + 1))


def _inputs(block: Block, models: slice = ALL_MODELS) -> loops.Inputs:
    arrays = [np.asarray(array) for array in block.inputs[models]]
    addresses = np.array([_address(array) for array in arrays], np.uint64)
    base = 0 if block.base is None else _address(np.asarray(block.base))
    return loops.Inputs(addresses, np.uint64(base), block.size, _like(arrays[0]))


def _out(block: Block) -> NDArray:
    if block.out is not None:
        return block.out
    return np.empty((block.rows, block.where.columns), np.float32)


def _one_way(thresholds: Counts) -> bool:
    """Whether they only rise, or only fall, with the rank."""
    steps = np.diff(thresholds)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _decide(block: Block, model: int, thresholds: Counts, kept: NDArray) -> None:
    """Fills ``kept``, ``(rows, columns)`` uint8, with what survives of a model."""
    if thresholds.min() >= DRAWS:  # kept whole: no draw is too large
        kept.fill(1)
        return
    noise = np.asarray(block.where.keys[model], np.uint32)
    limits, offset = _limits(thresholds), block.where.offset
    ranking.decide_by_rank(_input(block, model), limits, noise, offset, kept)


def _decide_sorted(
    block: Block, model: int, thresholds: Counts, keys: NDArray, kept: NDArray
) -> None:
    """As ``_decide``; also fills ``keys``, ``(rows, columns)`` uint64, with each row's order."""
    ranking.order_keys(_input(block, model), keys, reverse=False)
    keys.sort(axis=1)
    if thresholds.min() >= DRAWS:
        kept.fill(1)
        return
    noise = np.asarray(block.where.keys[model], np.uint32)
    ranking.mark_drawn(keys, _limits(thresholds), noise, block.where.offset, kept)


def _limits(thresholds: Counts) -> npt.NDArray[np.uint32]:
    return np.minimum(thresholds, DRAWS - 1).astype(np.uint32)


def _gains(block: Block, ranked: Ranked) -> NDArray:
    out = np.empty((len(block.inputs), block.rows, block.where.columns), np.float32)
    keys, kept = np.empty(out.shape[1:], np.uint64), np.empty(out.shape[1:], np.uint8)
    by_rank = ranked.gains.astype(np.float32)
    for model, thresholds in enumerate(ranked.thresholds):
        _decide_sorted(block, model, thresholds, keys, kept)
        ranking.gain_by_rank(keys, by_rank[model], kept, out[model])
    return out.reshape(len(out), -1)


def _unpacked(block: Block, kept: Kept) -> NDArray:
    first = block.where.row
    rows = kept.bits[:, first : first + block.rows]
    flags = np.unpackbits(rows, axis=2, count=block.where.columns)
    return flags.reshape(len(rows), -1)


def _draws(block: Block, chance: Chance) -> survivors.Draws:
    lasts = np.minimum(chance.thresholds, DRAWS) - 1
    return survivors.Draws(lasts, np.array(block.where.keys, np.uint32), block.where.offset)


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
