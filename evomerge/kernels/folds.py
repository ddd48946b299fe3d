"""The compiled folds: sums and counts over a block.

Sums of floats go into one accumulator per position of the lane, elementwise, and are folded by
halving at the end of each span: fast, and in an order that depends on nothing but the shape.
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import draw, magnitude, offset_word, widen
from evomerge.kernels.loops import (
    LANE,
    Inputs,
    Thin,
    apply_thinning,
    compiled,
    lane_of,
    load,
)
from evomerge.noise import DRAWS


@compiled()
def largest(address: np.uint64, like: NDArray, size: int) -> int:
    """The bits of the largest magnitude; at least 0x7F800000 when something is not finite."""
    top = np.zeros(LANE, np.int32)
    for start in range(0, size, LANE):
        width = min(LANE, size - start)
        lane = lane_of(address, like, start, width)
        for j in range(width):
            top[j] = max(top[j], magnitude(widen(lane[j])))
    return top.max()


@compiled()
def halve(lanes: NDArray) -> float:
    """The sum of a lane's accumulators, by halving."""
    half = lanes.size // 2
    while half:
        for j in range(half):
            lanes[j] += lanes[j + half]
        half //= 2
    return lanes[0]


@compiled()
def add_products(left: NDArray, right: NDArray, lane: NDArray) -> None:
    """Adds ``left * right`` to ``lane``, elementwise, in float64."""
    for j in range(lane.size):
        lane[j] += np.float64(left[j]) * np.float64(right[j])


@compiled()
def add_pairs(values: NDArray, total: NDArray, column: int, width: int) -> None:
    """Adds the products of all pairs of models to ``total``, ``(models, models, columns)``."""
    for a in range(values.shape[0]):
        for b in range(a + 1):
            add_products(values[a], values[b], total[a, b, column : column + width])


@compiled()
def gram(inputs: Inputs, span: int, out: NDArray) -> None:
    """``out`` is ``(spans, models, models)``, float64."""
    models = inputs.addresses.size
    values = np.empty((models, LANE), np.float32)
    lanes = np.empty((models, models, LANE), np.float64)
    for begin in range(0, inputs.size, span):
        end = min(begin + span, inputs.size)
        lanes[:] = 0
        for start in range(begin, end, LANE):
            width = min(LANE, end - start)
            load(inputs, start, width, values)
            add_pairs(values, lanes, 0, width)
        for a in range(models):
            for b in range(a + 1):
                out[begin // span, a, b] = out[begin // span, b, a] = halve(lanes[a, b])


@compiled()
def column_gram(inputs: Inputs, offset: int, total: NDArray) -> None:
    """Adds every row's products to ``total``, ``(models, models, columns)``: the lower half.

    The block's first element stands in column ``offset`` modulo the number of columns.
    """
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    columns, start = total.shape[2], 0
    while start < inputs.size:
        column = (offset + start) % columns
        width = min(LANE, columns - column, inputs.size - start)
        load(inputs, start, width, values)
        add_pairs(values, total, column, width)
        start += width


@compiled()
def add_magnitudes(values: NDArray, lanes: NDArray, width: int) -> None:
    """Adds the magnitudes of each model to its lane, in float64."""
    for model in range(values.shape[0]):
        value, lane = values[model], lanes[model]
        for j in range(width):
            lane[j] += np.float64(abs(value[j]))


@compiled()
def magnitude_sums(inputs: Inputs, thin: Thin, span: int, out: NDArray) -> None:
    """``out`` is ``(spans, models)``, float64: L1 norms after thinning."""
    models = inputs.addresses.size
    values = np.empty((models, LANE), np.float32)
    lanes = np.empty((models, LANE), np.float64)
    for begin in range(0, inputs.size, span):
        end = min(begin + span, inputs.size)
        lanes[:] = 0
        start = begin
        while start < end:
            row_end = (start // thin.width + 1) * thin.width
            width = min(LANE, end - start, row_end - start)
            load(inputs, start, width, values)
            apply_thinning(values, thin, start, width)
            add_magnitudes(values, lanes, width)
            start += width
        for model in range(models):
            out[begin // span, model] = halve(lanes[model])


@compiled()
def count_upper(value: NDArray, count: NDArray, width: int) -> None:
    """Counts a lane by the upper half of the magnitudes' bits."""
    for j in range(width):
        count[magnitude(value[j]) >> 16] += 1


@compiled()
def count_magnitudes(inputs: Inputs, counts: NDArray) -> None:
    """Adds to ``counts``, ``(models, upper bins)``."""
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    for start in range(0, inputs.size, LANE):
        width = min(LANE, inputs.size - start)
        load(inputs, start, width, values)
        for model in range(inputs.addresses.size):
            count_upper(values[model], counts[model], width)


@compiled()
def count_lower(value: NDArray, wanted: int, count: NDArray, inside: NDArray) -> None:
    """Counts what lies in the upper bin ``wanted`` by the lower half of the bits."""
    found = 0
    for j in range(value.size):  # without a branch: few elements lie inside
        bits = magnitude(value[j])
        inside[found] = bits & 0xFFFF
        found += 1 if bits >> 16 == wanted else 0
    for j in range(found):
        count[inside[j]] += 1


@compiled()
def count_within(inputs: Inputs, models: NDArray, bins: NDArray, counts: NDArray) -> None:
    """Adds to ``counts``, ``(queries, lower bins)``, what lies in each query's upper bin."""
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    inside = np.empty(LANE, np.int32)
    for start in range(0, inputs.size, LANE):
        width = min(LANE, inputs.size - start)
        load(inputs, start, width, values)
        for query in range(bins.size):
            count_lower(values[models[query], :width], bins[query], counts[query], inside)


@compiled()
def index_of_nth(value: NDArray, wanted: int, nth: int) -> int:
    """The index of the nth element (from 1) of this magnitude; there are as many."""
    for j in range(value.size):
        nth -= 1 if magnitude(value[j]) == wanted else 0
        if nth == 0:
            return j
    return -1


@compiled()
def nth_equal(inputs: Inputs, model: int, bits: int, nth: int) -> tuple[int, int]:
    """The index of the nth element of this magnitude, or -1, and how many are still to find."""
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    wanted = np.int32(bits)
    for start in range(0, inputs.size, LANE):
        width = min(LANE, inputs.size - start)
        load(inputs, start, width, values)
        value = values[model, :width]
        found = 0
        for j in range(width):
            found += 1 if magnitude(value[j]) == wanted else 0
        if found >= nth:
            return start + index_of_nth(value, wanted, nth), 0
        nth -= found
    return -1, nth


@compiled()
def order_keys(inputs: Inputs, model: int, keys: NDArray, *, reverse: bool) -> None:
    """Fills ``keys``, ``(rows, columns)`` uint64, with magnitude and column, to be sorted by row.

    Of equal magnitudes the first column sorts lowest, or highest with ``reverse``.
    """
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    rows, columns = keys.shape
    for row in range(rows):
        for column in range(0, columns, LANE):
            width = min(LANE, columns - column)
            load(inputs, row * columns + column, width, values)
            for j in range(width):
                at = column + j
                tie = columns - 1 - at if reverse else at
                upper = np.uint64(magnitude(values[model, j])) << np.uint64(32)
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
