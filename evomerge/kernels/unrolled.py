"""The sums that most merges are, with the loop over the models unrolled.

The number of models is part of the types that a kernel is compiled for, so a result stays in
registers from the first input to the last: two to three times as fast as lanes that are written
and read again, for one compilation for each number of models. The arithmetic is that of ``loops``,
step by step, which serves all other cases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import draw, element, magnitude, narrow, offset_word, widen
from evomerge.kernels.loops import compiled

Numbers = tuple[np.float32, ...]


class Vectors(NamedTuple):
    """Arrays by their addresses: of the models, and of the base."""

    addresses: tuple[np.uint64, ...]
    base: np.uint64
    like: NDArray


class Between(NamedTuple):
    """Keeps what has magnitude bits in [low, top], for each model."""

    lows: tuple[np.int32, ...]
    tops: tuple[np.int32, ...]


class Drawn(NamedTuple):
    """Keeps what draws at most ``lasts``, for each model; the first element has this flat index."""

    lasts: tuple[np.uint32, ...]
    first_keys: tuple[np.uint32, ...]
    second_keys: tuple[np.uint32, ...]
    index_low: np.uint32
    index_high: np.uint32


class Vote(NamedTuple):
    """An ``Election``; with a single zero in place of the weights nothing is divided."""

    factors: Numbers
    weights: Numbers
    scale: np.float32


@compiled()
def sum_weights(vectors: Vectors, shares: Numbers, out: NDArray) -> None:
    """``sum(share * model)``."""
    for j in range(out.size):
        total = np.float32(-0.0)
        for model in range(len(shares)):
            total += shares[model] * widen(element(vectors.addresses[model], j, vectors.like))
        out[j] = narrow(total, out)


@compiled()
def change(vectors: Vectors, model: int, start: np.float32, j: int) -> np.float32:
    """An element of a task vector."""
    return widen(element(vectors.addresses[model], j, vectors.like)) - start


@compiled()
def sum_changes(vectors: Vectors, shares: Numbers, out: NDArray) -> None:
    """``base + sum(share * (model - base))``."""
    for j in range(out.size):
        start = widen(element(vectors.base, j, vectors.like))
        total = np.float32(-0.0)
        for model in range(len(shares)):
            total += shares[model] * change(vectors, model, start, j)
        out[j] = narrow(start + total, out)


@compiled()
def between(value: np.float32, kept: Between, model: int) -> np.float32:
    """The value, or zero."""
    bits = magnitude(value)
    return value if kept.lows[model] <= bits <= kept.tops[model] else np.float32(0)


@compiled()
def drawn(value: np.float32, kept: Drawn, model: int, j: int) -> np.float32:
    """The value, or zero."""
    keys = kept.first_keys[model], kept.second_keys[model]
    draws = draw(offset_word(kept.index_low, j), kept.index_high, keys[0], keys[1])
    return value if draws <= kept.lasts[model] else np.float32(0)


@compiled()
def sum_between(vectors: Vectors, kept: Between, vote: Vote, out: NDArray) -> None:
    """What is kept of the task vectors, weighted."""
    for j in range(out.size):
        start = widen(element(vectors.base, j, vectors.like))
        total = np.float32(-0.0)
        for model in range(len(vote.factors)):
            value = between(change(vectors, model, start, j), kept, model)
            total += value * vote.factors[model]
        out[j] = narrow(start + total * vote.scale, out)


@compiled()
def sum_drawn(vectors: Vectors, kept: Drawn, vote: Vote, out: NDArray) -> None:
    """What is kept of the task vectors, weighted."""
    for j in range(out.size):
        start = widen(element(vectors.base, j, vectors.like))
        total = np.float32(-0.0)
        for model in range(len(vote.factors)):
            value = drawn(change(vectors, model, start, j), kept, model, j)
            total += value * vote.factors[model]
        out[j] = narrow(start + total * vote.scale, out)


@compiled()
def elect_between(vectors: Vectors, kept: Between, vote: Vote, out: NDArray) -> None:
    """What is kept and agrees with the sign of the weighted sum."""
    divides = len(vote.weights) == len(vote.factors)  # known to the compiler
    for j in range(out.size):
        start = widen(element(vectors.base, j, vectors.like))
        total = np.float32(-0.0)
        for model in range(len(vote.factors)):
            value = between(change(vectors, model, start, j), kept, model)
            total += value * vote.factors[model]
        sign = np.float32(1) if total >= 0 else np.float32(-1)
        agreed, divisor = np.float32(0), np.float32(0)
        for model in range(len(vote.factors)):
            value = between(change(vectors, model, start, j), kept, model)
            vote_of = value * vote.factors[model] * sign
            agreed += np.float32(0) if vote_of <= 0 else vote_of  # so that NaN stays NaN
            if divides:
                divisor += vote.weights[model] if vote_of > 0 else np.float32(0)
        agreed *= sign
        if divides:
            agreed /= divisor if divisor != 0 else np.float32(1)
        out[j] = narrow(start + agreed * vote.scale, out)


@compiled()
def elect_drawn(vectors: Vectors, kept: Drawn, vote: Vote, out: NDArray) -> None:
    """What is kept and agrees with the sign of the weighted sum."""
    divides = len(vote.weights) == len(vote.factors)  # known to the compiler
    for j in range(out.size):
        start = widen(element(vectors.base, j, vectors.like))
        total = np.float32(-0.0)
        for model in range(len(vote.factors)):
            value = drawn(change(vectors, model, start, j), kept, model, j)
            total += value * vote.factors[model]
        sign = np.float32(1) if total >= 0 else np.float32(-1)
        agreed, divisor = np.float32(0), np.float32(0)
        for model in range(len(vote.factors)):
            value = drawn(change(vectors, model, start, j), kept, model, j)
            vote_of = value * vote.factors[model] * sign
            agreed += np.float32(0) if vote_of <= 0 else vote_of  # so that NaN stays NaN
            if divides:
                divisor += vote.weights[model] if vote_of > 0 else np.float32(0)
        agreed *= sign
        if divides:
            agreed /= divisor if divisor != 0 else np.float32(1)
        out[j] = narrow(start + agreed * vote.scale, out)
