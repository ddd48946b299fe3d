"""Looking for single magnitudes, and telling apart all there are.

Stretches without any of a rare one are passed in vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import element, magnitude, widen
from evomerge.kernels.loops import Inputs, compiled

# Elements looked at together: longer stretches are seldom free of hits, shorter ones cost more.
STRETCH = 64
# The stretches of all models within so many elements read the base from the first-level cache.
SPAN = 2048


class Vector(NamedTuple):
    """A model by its address, or its task vector if the base's address is not zero."""

    address: np.uint64
    base: np.uint64
    like: NDArray


@compiled()
def bits_at(vector: Vector, index: int) -> np.int32:
    """The bits of an element's magnitude."""
    value = widen(element(vector.address, index, vector.like))
    if vector.base != 0:
        value -= widen(element(vector.base, index, vector.like))
    return magnitude(value)


@compiled()
def hits_between(vector: Vector, first: int, end: int, low: np.int32, top: np.int32) -> np.int32:
    """How many elements have magnitude bits in [low, top]."""
    hits = np.int32(0)
    for j in range(first, end):
        bits = bits_at(vector, j)
        hits += np.int32((low <= bits) & (bits <= top))
    return hits


@compiled()
def count_one_bin(inputs: Inputs, query: NDArray, bins: NDArray, counts: NDArray) -> None:
    """Adds to ``counts``, ``(queries, lower bins)``, what lies in each query's upper bin.

    ``query`` is ``(models,)``: the query about each, negative where there is none.
    """
    for begin in range(0, inputs.size, SPAN):
        end = min(begin + SPAN, inputs.size)
        for model in range(query.size):
            if query[model] >= 0:
                vector = Vector(inputs.addresses[model], inputs.base, inputs.like)
                add_bin(vector, begin, end, bins[query[model]], counts[query[model]])


@compiled()
def add_bin(vector: Vector, begin: int, end: int, upper: int, count: NDArray) -> None:
    """Counts the elements of one upper bin by the lower half of their bits."""
    low = np.int32(upper << 16)
    top = np.int32(low | 0xFFFF)
    for first in range(begin, end, STRETCH):
        stop = min(first + STRETCH, end)
        if hits_between(vector, first, stop, low, top) == 0:
            continue
        for j in range(first, stop):
            bits = bits_at(vector, j)
            if bits >> 16 == upper:
                count[bits & 0xFFFF] += 1


@compiled()
def nth_equal(inputs: Inputs, bits: int, nth: int) -> tuple[int, int]:
    """The index of the nth element of this magnitude, or -1, and how many are still to find.

    ``inputs`` are those of one model.
    """
    vector = Vector(inputs.addresses[0], inputs.base, inputs.like)
    wanted = np.int32(bits)
    for first in range(0, inputs.size, SPAN):
        end = min(first + SPAN, inputs.size)
        found = hits_between(vector, first, end, wanted, wanted)
        if found >= nth:
            return index_of_nth(vector, first, wanted, nth), 0
        nth -= found
    return -1, nth


@compiled()
def index_of_nth(vector: Vector, first: int, wanted: np.int32, nth: int) -> int:
    """The index of the nth element (from 1) of this magnitude from ``first`` on; it exists."""
    index = first - 1
    while nth > 0:
        index += 1
        nth -= 1 if bits_at(vector, index) == wanted else 0
    return index


@compiled()
def tally(inputs: Inputs, keys: NDArray, counts: NDArray, room: int) -> int:
    """Counts every magnitude of one model in a hash table; the room left, or -1 if it ran out.

    Args:
        inputs: those of one model.
        keys: ``(slots,)``, a power of two of them: the bits of a magnitude, or negative if free.
        counts: ``(slots,)``.
        room: how many further magnitudes may be entered, fewer than there are free slots.
    """
    vector = Vector(inputs.addresses[0], inputs.base, inputs.like)
    for j in range(inputs.size):
        bits = bits_at(vector, j)
        slot = slot_of(keys, bits)
        if keys[slot] < 0:
            if room == 0:
                return -1
            room -= 1
            keys[slot] = bits
        counts[slot] += 1
    return room


@compiled()
def slot_of(keys: NDArray, bits: np.int32) -> int:
    """Where a magnitude is entered, or would be."""
    # By the golden ratio: the lower bits of magnitudes are often all zero.
    slot = int(((np.int64(bits) * 0x9E3779B1) >> 12) & (keys.size - 1))
    while keys[slot] >= 0 and keys[slot] != bits:
        slot = (slot + 1) & (keys.size - 1)
    return slot
