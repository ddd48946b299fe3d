"""Which sums the unrolled kernels can do, and how they are asked.

They serve up to `MOST` models and one factor, one cut or one chance for each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evomerge.kernels import unrolled
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.sums import Election, Floats, Shares
from evomerge.kernels.thinning import NOTHING_ABOVE, Chance, Window, everything, nothing
from evomerge.noise import DRAWS

# Compiling takes longer, and gains less, the more models there are.
MOST = 6
# In place of weights: for more models than one, the kernels are compiled without the division.
_UNDIVIDED = (np.float32(0),)


def weighted_sum(block: Block, shares: Shares, out: NDArray) -> bool:
    """Does it, or returns False: there are too many models, or shares by row or column."""
    if len(block.inputs) > MOST or shares.per != "tensor":
        return False
    kernel = unrolled.sum_weights if block.base is None else unrolled.sum_changes
    kernel(_vectors(block, 0), _floats(shares.values), out)
    return True


def elected_sum(block: Block, election: Election, out: NDArray) -> bool:
    """Does it, or returns False: there are too many models, or thinning goes by row or rank."""
    if len(block.inputs) > MOST or block.base is None:
        return False
    weights = _floats(election.weights) if election.normalize else _UNDIVIDED
    vote = unrolled.Vote(_floats(election.factors), weights, np.float32(election.scale))
    if isinstance(election.thinning, Chance):
        drawn = _drawn(block, election.thinning)
        if drawn is None:
            return False
        kernel = unrolled.elect_drawn if election.elect else unrolled.sum_drawn
        kernel(_vectors(block, 0), drawn, vote, out)
        return True
    models = len(block.inputs)
    window = election.thinning or Window(everything(models), nothing(models))
    if not isinstance(window, Window) or window.low.bits.shape[1] > 1:
        return False
    kernel = unrolled.elect_between if election.elect else unrolled.sum_between
    for first, end, kept in _pieces(block, window):
        kernel(_vectors(block, first), kept, vote, out[first:end])
    return True


def _floats(values: Floats) -> unrolled.Numbers:
    return tuple(values.astype(np.float32))


def _vectors(block: Block, first: int) -> unrolled.Vectors:
    """The arrays from their element ``first`` on."""
    arrays = [np.asarray(array) for array in block.inputs]
    like = np.empty(0, np.float32 if arrays[0].dtype == np.float32 else np.uint16)
    skipped = first * like.itemsize
    base = 0 if block.base is None else _address(np.asarray(block.base)) + skipped
    addresses = tuple(np.uint64(_address(array) + skipped) for array in arrays)
    return unrolled.Vectors(addresses, np.uint64(base), like)


def _address(array: NDArray) -> int:
    return int(array.__array_interface__["data"][0])


def _drawn(block: Block, chance: Chance) -> unrolled.Drawn | None:
    """None where a model is dropped whole, or the flat index outgrows 32 bits within the block."""
    offset = block.where.offset
    low, high = offset % DRAWS, offset // DRAWS
    if (chance.thresholds <= 0).any() or low + block.size > DRAWS:
        return None
    keys = np.array(block.where.keys, np.uint32)
    lasts = tuple((np.minimum(chance.thresholds, DRAWS) - 1).astype(np.uint32))
    first_keys, second_keys = tuple(keys[:, 0]), tuple(keys[:, 1])
    return unrolled.Drawn(lasts, first_keys, second_keys, np.uint32(low), np.uint32(high))


def _pieces(block: Block, window: Window) -> Iterator[tuple[int, int, unrolled.Between]]:
    """The block cut where an element of just a cut's magnitude changes sides."""
    begin = block.where.pool + block.where.offset
    lows, highs = window.low, window.high
    places = np.concatenate([lows.positions[:, 0], highs.positions[:, 0]]) - begin
    inner = sorted({int(place) for place in places if 0 < place < block.size})
    for first, end in zip([0, *inner], [*inner, block.size], strict=True):
        behind_low = lows.positions[:, 0] - begin <= first
        behind_high = highs.positions[:, 0] - begin <= first
        low, high = lows.bits[:, 0], highs.bits[:, 0]
        least = np.where(low > 0, np.minimum(low, NOTHING_ABOVE - behind_low) + behind_low, 0)
        most = np.where(high < NOTHING_ABOVE, high - 1 + behind_high, NOTHING_ABOVE)
        kept = unrolled.Between(tuple(least.astype(np.int32)), tuple(most.astype(np.int32)))
        yield first, end, kept
