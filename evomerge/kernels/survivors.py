"""The L1 norms of what survives a drop by chance: drawn and summed in one pass, nothing stored.

The order of the sums is that of ``folds.magnitude_sums``, which serves all other ways to thin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.folds import ABREAST, halve
from evomerge.kernels.lanes import draw, element, offset_word, widen
from evomerge.kernels.loops import Inputs, compiled
from evomerge.noise import DRAWS


class Draws(NamedTuple):
    """Which elements of each model survive.

    Attributes:
        lasts: ``(models,)``, int64: those that draw at most this; negative if none does.
        keys: ``(models, 2)``, uint32.
        offset: of the block's first element in its tensor.
    """

    lasts: NDArray
    keys: NDArray
    offset: int


class Run(NamedTuple):
    """A model by its address, and the base; what its element ``first`` and those behind it draw."""

    address: np.uint64
    base: np.uint64
    like: NDArray
    first: int
    last: np.uint32
    first_key: np.uint32
    second_key: np.uint32
    index_low: np.uint32
    index_high: np.uint32


@compiled()
def size_at(run: Run, j: int) -> np.float32:
    """The magnitude of an element."""
    value = widen(element(run.address, run.first + j, run.like))
    if run.base != 0:
        value -= widen(element(run.base, run.first + j, run.like))
    return abs(value)


@compiled()
def surviving(size: np.float32, run: Run, j: int) -> np.float32:
    """The magnitude, or zero."""
    draws = draw(offset_word(run.index_low, j), run.index_high, run.first_key, run.second_key)
    return size if draws <= run.last else np.float32(0)


@compiled()
def add_surviving(run: Run, lane: NDArray) -> None:
    """Adds what survives to ``lane``, element by element."""
    for j in range(lane.size):
        lane[j] += np.float64(surviving(size_at(run, j), run, j))


@compiled()
def add_both(run: Run, whole: NDArray, lane: NDArray) -> None:
    """Adds everything to ``whole``, and what survives to ``lane``."""
    for j in range(lane.size):
        size = size_at(run, j)
        whole[j] += np.float64(size)
        lane[j] += np.float64(surviving(size, run, j))


@compiled()
def run_of(inputs: Inputs, draws: Draws, model: int, start: int) -> Run:
    """A model from element ``start`` of the block on."""
    index = draws.offset + start
    return Run(
        inputs.addresses[model],
        inputs.base,
        inputs.like,
        start,
        np.uint32(max(draws.lasts[model], 0)),
        draws.keys[model, 0],
        draws.keys[model, 1],
        np.uint32(index & 0xFFFFFFFF),
        np.uint32(index >> 32),
    )


@compiled()
def add_span(inputs: Inputs, draws: Draws, begin: int, end: int, lanes: NDArray) -> None:
    """Adds the elements of a span to ``lanes``, ``(kinds, models, ABREAST)``."""
    start = begin
    while start < end:
        at = (start - begin) % ABREAST
        # Within a run the low half of the index must not begin again.
        wrap = DRAWS - ((draws.offset + start) & 0xFFFFFFFF)
        stop = at + min(ABREAST - at, end - start, wrap)
        for model in range(lanes.shape[1]):
            run = run_of(inputs, draws, model, start)
            if lanes.shape[0] > 1:
                add_both(run, lanes[0, model, at:stop], lanes[1, model, at:stop])
            else:
                add_surviving(run, lanes[0, model, at:stop])
        start += stop - at


@compiled()
def magnitude_sums(inputs: Inputs, draws: Draws, span: int, out: NDArray) -> None:
    """``out`` is ``(spans, kinds, models)``, as that of ``folds.magnitude_sums``."""
    kinds, models = out.shape[1], inputs.addresses.size
    lanes = np.empty((kinds, models, ABREAST), np.float64)
    for begin in range(0, inputs.size, span):
        lanes[:] = 0
        add_span(inputs, draws, begin, min(begin + span, inputs.size), lanes)
        for model in range(models):
            for kind in range(kinds):
                out[begin // span, kind, model] = halve(lanes[kind, model])
            if draws.lasts[model] < 0:
                out[begin // span, kinds - 1, model] = 0
