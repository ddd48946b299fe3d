"""Fates by rank: compiled loops that let an element survive by chance and by its rank in its row.

Rows are not sorted where it can be helped. Magnitudes are counted in bins, which tells every
element a range of ranks; its draw mostly falls above or below all the thresholds of that range,
and only for the few others the exact rank is counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import draw, magnitude, offset_word, one_more_if
from evomerge.kernels.loops import LANE, Inputs, compiled, load
from evomerge.noise import DRAWS

# The bits of infinity and of what is larger: no number's.
_NO_NUMBER = np.int32(0x7FFFFFFF)


class Row(NamedTuple):
    """What is known of one row while its elements' fates are decided, ``(columns,)`` each.

    Bins are numbered from the smallest magnitude up; the first holds the zeros.
    """

    sizes: NDArray  # magnitudes as bits, int32
    bins: NDArray  # int32
    draws: NDArray  # uint32
    doubtful: NDArray  # the columns of the elements that need an exact rank, int64


class Bins(NamedTuple):
    """What is known of the bins of one row, ``(BINS,)`` each."""

    counts: NDArray  # int64
    sure: NDArray  # the smallest threshold of the bin's ranks, uint32
    possible: NDArray  # and the largest
    # The element that was last ranked exactly: its column, magnitude, and how many are smaller,
    # and equal before it.
    column: NDArray
    size: NDArray
    smaller: NDArray
    equal: NDArray


@compiled()
def decide_by_rank(
    inputs: Inputs, thresholds: NDArray, noise: NDArray, offset: int, kept: NDArray
) -> None:
    """Sets ``kept``, ``(rows, columns)`` uint8: was the element drawn below its rank's threshold?

    ``inputs`` are those of one model; ``thresholds`` is ``(columns,)`` uint32, by ascending rank,
    and rises or falls throughout.
    """
    rows, columns = kept.shape
    limit = max(columns // 2, 64)  # more bins cost more than the doubts they save
    row = Row(
        np.empty(columns, np.int32),
        np.empty(columns, np.int32),
        np.empty(columns, np.uint32),
        np.empty(columns, np.int64),
    )
    bins = Bins(
        np.zeros(limit, np.int64),
        np.empty(limit, np.uint32),
        np.empty(limit, np.uint32),
        np.empty(limit, np.int64),
        np.empty(limit, np.int32),
        np.empty(limit, np.int64),
        np.empty(limit, np.int64),
    )
    values = np.empty((1, LANE), np.float32)
    for number in range(rows):
        fill_sizes(inputs, number * columns, values, row.sizes)
        used = fill_bins(row.sizes, row.bins, bins.counts)
        bound_bins(bins, used, thresholds)
        fill_draws(row.draws, offset + number * columns, noise)
        doubtful = decide_by_bin(row, bins, kept[number])
        rank_doubtful(row, bins, doubtful, thresholds, kept[number])


@compiled()
def fill_sizes(inputs: Inputs, start: int, values: NDArray, sizes: NDArray) -> None:
    """The magnitudes of the row that begins at ``start``, as bits."""
    for column in range(0, sizes.size, LANE):
        width = min(LANE, sizes.size - column)
        load(inputs, start + column, width, values)
        value, part = values[0], sizes[column : column + width]
        for j in range(width):
            part[j] = magnitude(value[j])


@compiled()
def fill_bins(sizes: NDArray, bins: NDArray, counts: NDArray) -> int:
    """Chooses bins, no more than there are ``counts``, and counts; how many bins."""
    least, most = _NO_NUMBER, np.int32(0)
    for j in range(sizes.size):
        most = max(most, sizes[j])
        least = min(least, sizes[j] if sizes[j] > 0 else _NO_NUMBER)
    least = min(least, most)
    shift = 0
    while (most >> shift) - (least >> shift) + 2 > counts.size:
        shift += 1
    first = (least >> shift) - 1
    for j in range(sizes.size):
        at = max(sizes[j] >> shift, first) - first
        bins[j] = at
        counts[at] += 1
    return int((most >> shift) - first + 1)


@compiled()
def bound_bins(bins: Bins, used: int, thresholds: NDArray) -> None:
    """The thresholds between which all ranks of each bin lie. Leaves the counts at zero."""
    rank = 0
    for i in range(used):
        count = bins.counts[i]
        if count > 0:
            low, high = thresholds[rank], thresholds[rank + count - 1]
            bins.sure[i], bins.possible[i] = min(low, high), max(low, high)
            bins.column[i] = -1
            bins.counts[i] = 0
            rank += count


@compiled()
def fill_draws(draws: NDArray, index: int, noise: NDArray) -> None:
    """The draws from flat ``index`` on."""
    low, high = np.uint32(index & 0xFFFFFFFF), np.uint32(index >> 32)
    wrap = min(draws.size, DRAWS - (index & 0xFFFFFFFF))
    for j in range(wrap):
        draws[j] = draw(offset_word(low, j), high, noise[0], noise[1])
    high = np.uint32(high + np.uint32(1))
    for j in range(wrap, draws.size):
        draws[j] = draw(offset_word(low, j), high, noise[0], noise[1])


@compiled()
def decide_by_bin(row: Row, bins: Bins, kept: NDArray) -> int:
    """Decides what the bins decide, and lists the others; how many these are."""
    draws, at, doubtful = row.draws, row.bins, row.doubtful
    sure, possible = bins.sure, bins.possible
    found = 0
    for j in range(kept.size):  # without a branch, which would be a toss of a coin
        below_all = draws[j] < sure[at[j]]
        below_some = draws[j] < possible[at[j]]
        kept[j] = below_all
        doubtful[found] = j
        found += int(below_some) - int(below_all)
    return found


@compiled()
def rank_doubtful(row: Row, bins: Bins, count: int, thresholds: NDArray, kept: NDArray) -> None:
    """Decides the elements that were listed as doubtful, in the order of their columns.

    Of two with the same magnitude, the second one's rank is the first one's, plus how many equal
    ones stand between them: so rows with many equal elements cost no more than others.
    """
    sizes, draws, doubtful, at_bin = row.sizes, row.draws, row.doubtful, row.bins
    columns, latest, smaller, equal = bins.column, bins.size, bins.smaller, bins.equal
    for i in range(count):
        column = doubtful[i]
        size, at = sizes[column], at_bin[column]
        start = columns[at]
        if start < 0 or latest[at] != size:
            start, equal[at], smaller[at] = 0, 0, how_many_below(sizes, size)
        equal[at] += how_many_equal(sizes[start:column], size)
        columns[at], latest[at] = column, size
        kept[column] = draws[column] < thresholds[smaller[at] + equal[at]]


@compiled()
def how_many_below(sizes: NDArray, limit: np.int32) -> int:
    """The number of smaller ones."""
    found = np.int32(0)
    for j in range(sizes.size):
        found = one_more_if(found, sizes[j] < limit)
    return int(found)


@compiled()
def how_many_equal(sizes: NDArray, wanted: np.int32) -> int:
    """The number of equal ones."""
    found = np.int32(0)
    for j in range(sizes.size):
        found = one_more_if(found, sizes[j] == wanted)
    return int(found)


@compiled()
def order_keys(inputs: Inputs, keys: NDArray, *, reverse: bool) -> None:
    """Fills ``keys``, ``(rows, columns)`` uint64, with magnitude and column, to be sorted by row.

    Of equal magnitudes the first column sorts lowest, or highest with ``reverse``. ``inputs`` are
    those of one model.
    """
    values = np.empty((1, LANE), np.float32)
    rows, columns = keys.shape
    for row in range(rows):
        for column in range(0, columns, LANE):
            width = min(LANE, columns - column)
            load(inputs, row * columns + column, width, values)
            for j in range(width):
                at = column + j
                tie = columns - 1 - at if reverse else at
                upper = np.uint64(magnitude(values[0, j])) << np.uint64(32)
                keys[row, at] = upper | np.uint64(tie)


@compiled()
def mark_drawn(
    keys: NDArray, thresholds: NDArray, noise: NDArray, offset: int, kept: NDArray
) -> None:
    """Sets ``kept``, ``(rows, columns)`` uint8: was the element drawn below its rank's threshold?

    ``keys`` are sorted by row; ``thresholds`` is ``(columns,)`` uint32, by ascending rank.
    """
    rows, columns = keys.shape
    limits = np.empty(columns, np.uint32)
    for row in range(rows):
        key, flags, index = keys[row], kept[row], offset + row * columns
        for rank in range(columns):
            limits[np.uint32(key[rank])] = thresholds[rank]
        low, high = np.uint32(index & 0xFFFFFFFF), np.uint32(index >> 32)
        wrap = min(columns, DRAWS - (index & 0xFFFFFFFF))
        for j in range(wrap):
            flags[j] = draw(offset_word(low, j), high, noise[0], noise[1]) < limits[j]
        high = np.uint32(high + np.uint32(1))
        for j in range(wrap, columns):
            flags[j] = draw(offset_word(low, j), high, noise[0], noise[1]) < limits[j]


@compiled()
def gain_by_rank(keys: NDArray, gains: NDArray, kept: NDArray, out: NDArray) -> None:
    """Fills ``out``, ``(rows, columns)`` float32, with the gain of each kept element's rank."""
    for row in range(keys.shape[0]):
        for rank in range(keys.shape[1]):
            column = np.uint32(keys[row, rank])
            out[row, column] = gains[rank] if kept[row, column] != 0 else np.float32(0)
