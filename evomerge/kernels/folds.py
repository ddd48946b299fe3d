"""The compiled folds: sums and counts over a block.

Sums of floats go side by side, by position in a lane, and are folded by halving: fast, and in an
order that depends on nothing but the shape.
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import STEP, inner_product, larger, magnitude, widen
from evomerge.kernels.loops import (
    LANE,
    Inputs,
    Thin,
    apply_thinning,
    compiled,
    lane_of,
    load,
)

# Elements that are summed side by side: all their sums stay in the first-level cache.
ABREAST = 512


@compiled()
def largest(address: np.uint64, like: NDArray, size: int) -> int:
    """The bits of the largest magnitude; at least 0x7F800000 when something is not finite."""
    top = np.zeros(LANE, like.dtype)
    for start in range(0, size, LANE):
        width = min(LANE, size - start)
        lane = lane_of(address, like, start, width)
        for j in range(width):
            top[j] = larger(top[j], lane[j])
    bits = np.int32(0)
    for j in range(LANE):
        bits = max(bits, magnitude(widen(top[j])))
    return int(bits)


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
        lane[j] += left[j] * right[j]


@compiled()
def add_pairs(values: NDArray, total: NDArray, column: int, width: int) -> None:
    """Adds the products of all pairs of models to ``total``, ``(models, models, columns)``."""
    for a in range(values.shape[0]):
        for b in range(a + 1):
            add_products(values[a], values[b], total[a, b, column : column + width])


@compiled()
def add_inner_products(values: NDArray, count: int, total: NDArray) -> None:
    """Adds the inner products of all pairs of models to ``total``, ``(models, models)``."""
    for a in range(values.shape[0]):
        left = np.uint64(values[a].ctypes.data)
        for b in range(a + 1):
            total[a, b] += inner_product(left, np.uint64(values[b].ctypes.data), count)


@compiled()
def gram(inputs: Inputs, span: int, out: NDArray) -> None:
    """``out`` is ``(spans, models, models)``, float64."""
    models = inputs.addresses.size
    values = np.empty((models, ABREAST), np.float64)
    out[:] = 0
    for begin in range(0, inputs.size, span):
        end = min(begin + span, inputs.size)
        total = out[begin // span]
        for start in range(begin, end, ABREAST):
            width = min(ABREAST, end - start)
            count = (width + STEP - 1) // STEP * STEP
            load(inputs, start, width, values)
            values[:, width:count] = 0
            add_inner_products(values, count, total)
        for a in range(models):
            for b in range(a):
                total[b, a] = total[a, b]


@compiled()
def column_gram(inputs: Inputs, offset: int, total: NDArray) -> None:
    """Adds every row's products to ``total``, ``(models, models, columns)``: the lower half.

    The block's first element stands in column ``offset`` modulo the number of columns.
    """
    values = np.empty((inputs.addresses.size, LANE), np.float64)
    columns, start = total.shape[2], 0
    while start < inputs.size:
        column = (offset + start) % columns
        width = min(LANE, columns - column, inputs.size - start)
        load(inputs, start, width, values)
        add_pairs(values, total, column, width)
        start += width


@compiled()
def add_magnitudes(values: NDArray, lanes: NDArray, at: int, width: int) -> None:
    """Adds the magnitudes of each model to its lane from position ``at`` on, in float64."""
    for model in range(values.shape[0]):
        value, lane = values[model], lanes[model, at : at + width]
        for j in range(width):
            lane[j] += np.float64(abs(value[j]))


@compiled()
def magnitude_sums(inputs: Inputs, thin: Thin, span: int, out: NDArray) -> None:
    """``out`` is ``(spans, kinds, models)``, float64: L1 norms, the last kind after thinning.

    A first of two kinds is before thinning.
    """
    kinds, models = out.shape[1], inputs.addresses.size
    values = np.empty((models, ABREAST), np.float32)
    lanes = np.empty((kinds, models, ABREAST), np.float64)
    for begin in range(0, inputs.size, span):
        end = min(begin + span, inputs.size)
        lanes[:] = 0
        start = begin
        while start < end:
            at = (start - begin) % ABREAST
            row_end = (start // thin.width + 1) * thin.width
            width = min(ABREAST - at, end - start, row_end - start)
            load(inputs, start, width, values)
            if kinds > 1:
                add_magnitudes(values, lanes[0], at, width)
            apply_thinning(values, thin, start, width)
            add_magnitudes(values, lanes[kinds - 1], at, width)
            start += width
        for kind in range(kinds):
            for model in range(models):
                out[begin // span, kind, model] = halve(lanes[kind, model])


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
def count_lower(value: NDArray, query_of: NDArray, counts: NDArray, inside: NDArray) -> None:
    """Counts what lies in an upper bin with a query, by the lower half of the bits."""
    found = 0
    for j in range(value.size):  # without a branch: few elements lie inside
        bits = magnitude(value[j])
        inside[found] = bits
        found += 1 if query_of[bits >> 16] != 0 else 0
    for j in range(found):
        counts[query_of[inside[j] >> 16] - 1, inside[j] & 0xFFFF] += 1


@compiled()
def count_within(inputs: Inputs, asked: NDArray, query_of: NDArray, counts: NDArray) -> None:
    """Adds to ``counts``, ``(queries, lower bins)``, what lies in each query's upper bin.

    ``asked`` is ``(models,)``: whether there is a query for it; ``query_of``, ``(models, upper
    bins)``, has the number of the query, from 1, or 0 where there is none.
    """
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    inside = np.empty(LANE, np.int32)
    for start in range(0, inputs.size, LANE):
        width = min(LANE, inputs.size - start)
        load(inputs, start, width, values)
        for model in range(asked.size):
            if asked[model]:
                count_lower(values[model, :width], query_of[model], counts, inside)
