"""The compiled loops. Each walks its block in lanes of a few KB that stay in the first-level cache.

Inputs arrive as a table of addresses, so that one compiled kernel serves any number of models and
arrays that lie anywhere in memory. All loops over a lane are elementwise, which lets the compiler
vectorise them without changing the order of any sum.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numba import carray, njit

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import draw, magnitude, narrow, offset_word, pointer, widen
from evomerge.kernels.thinning import NOTHING_ABOVE
from evomerge.noise import DRAWS

compiled = partial(njit, nogil=True, cache=True)

LANE = 1024
# What a sum starts with. Adding to minus zero changes nothing, not even the sign of a zero.
NOTHING = np.float32(-0.0)

ALL, WINDOW, CHANCE, GAINS = range(4)


class Inputs(NamedTuple):
    """The arrays of a block: addresses of ``size`` elements each; base 0 where there is none."""

    addresses: NDArray
    base: np.uint64
    size: int
    like: NDArray


class Thin(NamedTuple):
    """A ``Thinning``, flattened for the compiled loops; fields of other modes are empty."""

    mode: int
    bits: NDArray  # (2, models, groups): low, high
    positions: NDArray  # (2, models, groups), flat
    thresholds: NDArray  # (models,)
    keys: NDArray  # (models, 2), uint32
    gains: NDArray  # (models, size of the block), float32 or uint8: 0 where dropped
    width: int  # elements under one group of cuts
    first_group: int
    offset: int  # of the block's first element in its tensor
    pool: int  # elements of other tensors before this one


class Vote(NamedTuple):
    """An ``Election``, flattened for the compiled loops."""

    factors: NDArray
    weights: NDArray
    elect: bool
    normalize: bool
    scale: np.float32


@compiled()
def lane_of(address: np.uint64, like: NDArray, start: int, width: int) -> NDArray:
    """``width`` elements from ``start`` of the array at ``address``."""
    return carray(pointer(np.uint64(address + np.uint64(start * like.itemsize)), like), (width,))


@compiled()
def load(inputs: Inputs, start: int, width: int, values: NDArray) -> None:
    """Fills ``values``, ``(models, LANE)`` float32, with inputs, or inputs minus the base."""
    for model in range(inputs.addresses.size):
        lane = lane_of(inputs.addresses[model], inputs.like, start, width)
        value = values[model]
        if inputs.base == 0:
            for j in range(width):
                value[j] = widen(lane[j])
        else:
            base = lane_of(inputs.base, inputs.like, start, width)
            for j in range(width):
                value[j] = widen(lane[j]) - widen(base[j])


@compiled()
def store(inputs: Inputs, start: int, width: int, delta: NDArray, out: NDArray) -> None:
    """Rounds ``delta``, on top of the base if there is one, into ``out``."""
    target = out[start : start + width]
    if inputs.base == 0:
        for j in range(width):
            target[j] = narrow(delta[j], out)
    else:
        base = lane_of(inputs.base, inputs.like, start, width)
        for j in range(width):
            target[j] = narrow(widen(base[j]) + delta[j], out)


@compiled()
def keep_from(value: NDArray, limit: int) -> None:
    """Zeroes what is smaller than ``limit``."""
    for j in range(value.size):
        value[j] = value[j] if magnitude(value[j]) >= limit else np.float32(0)


@compiled()
def keep_below(value: NDArray, limit: int) -> None:
    """Zeroes what is not smaller than ``limit``."""
    for j in range(value.size):
        value[j] = value[j] if magnitude(value[j]) < limit else np.float32(0)


@compiled()
def thin_window(value: NDArray, thin: Thin, model: int, group: int, position: int) -> None:
    """Keeps what is above the low and not above the high cut; ``position`` of the first element."""
    low, high = thin.bits[0, model, group], thin.bits[1, model, group]
    if low > 0:
        split = min(max(thin.positions[0, model, group] - position, 0), value.size)
        keep_from(value[:split], np.int32(low))
        keep_from(value[split:], np.int32(min(low, NOTHING_ABOVE - 1) + 1))
    if high < NOTHING_ABOVE:
        split = min(max(thin.positions[1, model, group] - position, 0), value.size)
        keep_below(value[:split], np.int32(high))
        keep_below(value[split:], np.int32(high + 1))


@compiled()
def thin_chance(value: NDArray, thin: Thin, model: int, index: int) -> None:
    """Keeps where the draw at flat ``index`` is below the model's threshold."""
    threshold = thin.thresholds[model]
    if threshold >= DRAWS:
        return
    limit = np.uint32(threshold)
    low, high = np.uint32(index & 0xFFFFFFFF), np.uint32(index >> 32)
    first, second = thin.keys[model, 0], thin.keys[model, 1]
    wrap = min(value.size, DRAWS - (index & 0xFFFFFFFF))
    for j in range(wrap):
        kept = draw(offset_word(low, j), high, first, second) < limit
        value[j] = value[j] if kept else np.float32(0)
    for j in range(wrap, value.size):
        kept = draw(offset_word(low, j), np.uint32(high + np.uint32(1)), first, second) < limit
        value[j] = value[j] if kept else np.float32(0)


@compiled()
def thin_gains(value: NDArray, gains: NDArray) -> None:
    """Multiplies by gains; a zero drops even what is not finite."""
    for j in range(value.size):
        value[j] = value[j] * np.float32(gains[j]) if gains[j] != 0 else np.float32(0)


@compiled()
def apply_thinning(values: NDArray, thin: Thin, start: int, width: int) -> None:
    """Thins one lane of every model; the lane lies within one row where cuts or bits go by row."""
    group = start // thin.width
    for model in range(values.shape[0]):
        value = values[model, :width]
        if thin.mode == WINDOW:
            at = thin.first_group + group if thin.bits.shape[2] > 1 else 0
            thin_window(value, thin, model, at, thin.pool + thin.offset + start)
        elif thin.mode == CHANCE:
            thin_chance(value, thin, model, thin.offset + start)
        elif thin.mode == GAINS:
            thin_gains(value, thin.gains[model, start : start + width])


@compiled()
def add_scaled(value: NDArray, factor: np.float32, width: int, total: NDArray) -> None:
    """Adds ``factor * value`` to ``total``, and leaves the product in ``value``."""
    for j in range(width):
        value[j] *= factor
        total[j] += value[j]


@compiled()
def add_share(value: NDArray, share: np.float32, width: int, total: NDArray) -> None:
    """Adds ``share * value`` to ``total``."""
    for j in range(width):
        total[j] += share * value[j]


@compiled()
def scale(total: NDArray, factor: np.float32) -> None:
    """Multiplies in place."""
    for j in range(total.size):
        total[j] *= factor


@compiled()
def add_product(value: NDArray, factors: NDArray, total: NDArray) -> None:
    """Adds ``factors * value`` to ``total``, elementwise."""
    for j in range(factors.size):
        total[j] += factors[j] * value[j]


@compiled()
def weighted_sum(inputs: Inputs, shares: NDArray, span: int, out: NDArray) -> None:
    """``shares`` is ``(models, spans)``: one factor for each run of ``span`` elements."""
    total = np.empty(LANE, np.float32)
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    for begin in range(0, inputs.size, span):
        end = min(begin + span, inputs.size)
        for start in range(begin, end, LANE):
            width = min(LANE, end - start)
            load(inputs, start, width, values)
            total[:width] = NOTHING
            for model in range(inputs.addresses.size):
                add_share(values[model], shares[model, begin // span], width, total)
            store(inputs, start, width, total, out)


@compiled()
def weighted_columns(inputs: Inputs, shares: NDArray, offset: int, out: NDArray) -> None:
    """``shares`` is ``(models, columns)``; the block begins at ``offset`` modulo columns."""
    total = np.empty(LANE, np.float32)
    values = np.empty((inputs.addresses.size, LANE), np.float32)
    columns, start = shares.shape[1], 0
    while start < inputs.size:
        column = (offset + start) % columns
        width = min(LANE, columns - column, inputs.size - start)
        load(inputs, start, width, values)
        total[:width] = NOTHING
        for model in range(inputs.addresses.size):
            add_product(values[model], shares[model, column : column + width], total)
        store(inputs, start, width, total, out)
        start += width


@compiled()
def elect(values: NDArray, width: int, vote: Vote, total: NDArray, divisor: NDArray) -> None:
    """Turns ``total``, the sum of all votes, into the sum of those that agree with its sign."""
    sign = np.empty(LANE, np.float32)
    for j in range(width):
        sign[j] = np.float32(1) if total[j] >= 0 else np.float32(-1)
    total[:width] = 0
    for model in range(values.shape[0]):
        value = values[model]
        for j in range(width):
            agreeing = value[j] * sign[j]
            total[j] += np.float32(0) if agreeing <= 0 else agreeing  # so that NaN stays NaN
    for j in range(width):
        total[j] *= sign[j]
    if vote.normalize:
        divide_by_agreeing(values, sign, vote, total[:width], divisor)


@compiled()
def divide_by_agreeing(
    values: NDArray, sign: NDArray, vote: Vote, total: NDArray, divisor: NDArray
) -> None:
    """Divides ``total`` by the weights of the models that agree with ``sign``."""
    divisor[:] = 0
    for model in range(values.shape[0]):
        value, weight = values[model], vote.weights[model]
        for j in range(total.size):
            divisor[j] += weight if value[j] * sign[j] > 0 else np.float32(0)
    for j in range(total.size):
        total[j] /= divisor[j] if divisor[j] != 0 else np.float32(1)


@compiled()
def elected_sum(inputs: Inputs, thin: Thin, vote: Vote, out: NDArray) -> None:
    """Load, thin, weigh, elect, scale, store, one lane at a time."""
    models = inputs.addresses.size
    values = np.empty((models, LANE), np.float32)
    total, divisor = np.empty(LANE, np.float32), np.empty(LANE, np.float32)
    for begin in range(0, inputs.size, thin.width):
        end = min(begin + thin.width, inputs.size)
        for start in range(begin, end, LANE):
            width = min(LANE, end - start)
            load(inputs, start, width, values)
            apply_thinning(values, thin, start, width)
            total[:width] = NOTHING
            for model in range(models):
                add_scaled(values[model], vote.factors[model], width, total)
            if vote.elect:
                elect(values, width, vote, total, divisor)
            scale(total[:width], vote.scale)
            store(inputs, start, width, total, out)
