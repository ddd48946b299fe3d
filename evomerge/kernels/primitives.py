"""What merge methods are made of. Sums take a block; folds run over all blocks of a tensor.

Every function works on the *inputs* of a block: the models as they are, or, when the block has a
base, their task vectors (model minus base). Differences are taken in float32 (float64 where the
tensors are float64), sums of products and magnitudes in float64, and results are rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, Counts, NDArray
from evomerge.kernels.sums import Election, Floats, Shares
from evomerge.kernels.thinning import Cuts, Kept, Thinning

if TYPE_CHECKING:
    from torch import Tensor

# Magnitudes are counted by the upper half of their float32 bits, which is a bfloat16 without its
# sign, and then by the lower half within one bin of the upper.
UPPER_BINS = 1 << 15
LOWER_BINS = 1 << 16


def weighted_sum(block: Block, shares: Shares) -> NDArray | Tensor:
    """``(rows, columns)``: the sum of the inputs times their shares, on top of the base if any."""
    return block.engine.weighted_sum(block, shares)


def elected_sum(block: Block, election: Election) -> NDArray | Tensor:
    """``(rows, columns)``: the base plus thinned, weighted and, if asked, elected task vectors."""
    return block.engine.elected_sum(block, election)


def gram(blocks: Iterable[Block]) -> Floats:
    """``(models, models)``: the inner products of the inputs, each one flat vector."""
    parts = [block.engine.gram(block, block.where.tile) for block in blocks]
    total: Floats = np.concatenate(parts).sum(axis=0)
    return total


def row_gram(blocks: Iterable[Block]) -> Floats:
    """``(rows, models, models)``: the inner products of the inputs, row by row."""
    return np.concatenate([block.engine.gram(block, block.where.columns) for block in blocks])


def column_gram(blocks: Iterable[Block], columns: int) -> Floats:
    """``(columns, models, models)``: the inner products of the inputs, column by column.

    ``columns`` is what stands under one index of the first axis: more than a row for tensors of
    more than two axes.
    """
    total = np.zeros(0)
    for block in blocks:
        if not total.size:
            models = len(block.inputs)
            total = np.zeros((models, models, columns))
        block.engine.column_gram(block, total)
    lower = np.moveaxis(total, 2, 0)
    return lower + np.tril(lower, -1).swapaxes(1, 2)


def magnitude_sums(blocks: Iterable[Block], thinning: Thinning = None) -> Floats:
    """``(models,)``: the L1 norm of each input after thinning."""
    total: Floats = _magnitude_sums(blocks, thinning, before=False)[0]
    return total


def both_magnitude_sums(blocks: Iterable[Block], thinning: Thinning) -> tuple[Floats, Floats]:
    """``(models,)`` twice: the L1 norm of each input, and after thinning; in one pass."""
    before, after = _magnitude_sums(blocks, thinning, before=True)
    return before, after


def _magnitude_sums(blocks: Iterable[Block], thinning: Thinning, *, before: bool) -> Floats:
    """``(kinds, models)``."""
    parts = [block.engine.magnitude_sums(block, thinning, before=before) for block in blocks]
    total: Floats = np.concatenate(parts).sum(axis=0)
    return total


def count_magnitudes(blocks: Iterable[Block]) -> Counts:
    """``(models, UPPER_BINS)``: how many elements have a magnitude with these upper bits."""
    counts = np.zeros((0, UPPER_BINS), np.int64)
    for block in blocks:
        if not counts.size:
            counts = np.zeros((len(block.inputs), UPPER_BINS), np.int64)
        block.engine.count_magnitudes(block, counts)
    return counts


def count_within(blocks: Iterable[Block], models: Counts, bins: Counts) -> Counts:
    """``(queries, LOWER_BINS)``: of model ``models[q]``, the elements in upper bin ``bins[q]``."""
    asked, query = np.unique(np.stack([models, bins]), axis=1, return_inverse=True)
    counts = np.zeros((asked.shape[1], LOWER_BINS), np.int64)
    for block in blocks:
        block.engine.count_within(block, asked[0], asked[1], counts)
    return counts[query]


def tallies(blocks: Iterable[Block], models: int, most: int) -> list[tuple[Counts, Counts]] | None:
    """For each model the bits of all magnitudes that occur, ascending, and how often each does.

    Models of 16 bits differ by few: some ten thousand in millions of elements. None if a model has
    more than ``most``, or the engine cannot tell.
    """
    keys: Counts = np.full((models, 2 << most.bit_length()), -1, np.int64)
    counts = np.zeros(keys.shape, np.int64)
    room = [most] * models
    for block in blocks:
        for model in range(models):
            left = block.engine.tally(block, model, keys[model], counts[model], room[model])
            if left < 0:
                return None
            room[model] = left
    found = []
    for key, count in zip(keys, counts, strict=True):
        used = np.flatnonzero(key >= 0)
        used = used[np.argsort(key[used])]
        found.append((key[used], count[used]))
    return found


def nth_equal(blocks: Iterable[Block], model: int, bits: int, nth: int) -> int:
    """The flat position of the ``nth`` element (from 1) of this magnitude; -1 if there are fewer.

    Positions count through the pool when several tensors form one vector.
    """
    left = nth
    for block in blocks:
        inside, left = block.engine.nth_equal(block, model, bits, left)
        if inside >= 0:
            return block.where.pool + block.where.offset + inside
    return -1


def ranked_chance(blocks: Iterable[Block], thresholds: Counts) -> Kept:
    """Keeps an element with a chance that depends on the rank of its magnitude in its row.

    Args:
        blocks: all blocks of a tensor.
        thresholds: ``(models, columns)``: by ascending rank, the draws below which one is kept.
    """
    parts = [block.engine.ranked_chance(block, thresholds) for block in blocks]
    return Kept(np.concatenate(parts, axis=1))


def row_cuts(blocks: Iterable[Block], ranks: Counts) -> Cuts:
    """The cut above which stand the ``ranks[i]`` largest elements of each row of model i."""
    parts = [block.engine.row_cuts(block, ranks) for block in blocks]
    return Cuts(
        np.concatenate([part.bits for part in parts], axis=1),
        np.concatenate([part.positions for part in parts], axis=1),
    )


def row_divergences(blocks: Iterable[Block], floor: float) -> Floats:
    """``(models, rows)``: the KL divergence of each model's softmax of a row from the base's.

    Of the models themselves, not of their differences, in float64; ``floor`` is added to every
    probability. Rounding below zero counts as zero.
    """
    parts = [block.engine.row_divergences(block, floor) for block in blocks]
    return np.maximum(np.concatenate(parts, axis=1), 0.0)
