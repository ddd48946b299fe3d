"""SCE: select where models vary, calculate their weights, erase minority directions.

[1] F. Wan et al. FuseChat: knowledge fusion of chat models. 2024.
    https://arxiv.org/abs/2408.07990
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import elected_sum, gram
from evomerge.kernels.sums import Election, Floats
from evomerge.kernels.thinning import Window, nothing
from evomerge.methods.base import Blocks, Param, Parameters, merge_method
from evomerge.methods.changes import Array, Derived, added, alone, changes, numbers, quietly
from evomerge.methods.sparsified import NO_MASK
from evomerge.methods.sparsify import Magnitudes

if TYPE_CHECKING:
    from torch import Tensor

# Mean squares that sum to less make all weights equal, as in mergekit.
MIN_SQUARES = 1e-6
# Agreeing weights divide as if they summed to no less, as in mergekit.
MIN_DIVISOR = 1e-6

_ONE = np.ones(1)

TOPK = Param(
    "select_topk",
    1.0,
    "fraction that is kept of the elements in which the models differ",
    search=(0.05, 1.0),
)


class Variances:
    """What is known of the variance over the models, element by element; found when asked for."""

    def __init__(self, size: int) -> None:
        """``size`` is that of one model's tensor."""
        self._ranked = Magnitudes(size)
        self._positive: int | None = None

    def largest(self, blocks: Blocks, share: float) -> Window:
        """The cut above which stands this share of the elements whose variance is not zero."""
        if self._positive is None:
            found = (_variance(changes(block)) for block in blocks)
            self._positive = sum(int((variance > 0).sum()) for variance in found)
        # mergekit multiplies in float32, which decides where the product is a whole number.
        kept = int(np.float32(self._positive) * np.float32(share))
        varied = Derived(blocks, 1, lambda block: [_variance(changes(block))])
        (low,) = self._ranked.cuts(varied, [min(max(kept, 0), self._positive)])
        return Window(low, nothing(1))


@dataclass(frozen=True)
class Selection:
    """Which elements are merged, and with which weights.

    Attributes:
        window: between which variances; None is all.
        weights: ``(models,)``, of sum 1.
    """

    window: Window | None
    weights: Floats


@merge_method("sce", base="required", params=[TOPK, NO_MASK])
class Sce:
    """Weighs task vectors by their mean square where models vary most, and elects signs [1].

    The sign of the plain sum wins at each element, and divides only by the weights that agree.
    """

    def survey(self, blocks: Blocks) -> Variances:
        """The variances, counted when a parameter asks for it."""
        return Variances(blocks.size)

    @quietly
    def settle(self, survey: Variances, blocks: Blocks, parameters: Parameters) -> Selection:
        """The cut, and the mean squares of what is left, as shares of their sum."""
        share = parameters.number("select_topk")
        window = survey.largest(blocks, share) if share < 1.0 else None
        left = Derived(blocks, blocks.models, lambda block: _selected(block, window))
        squares = np.diagonal(gram(left)) / blocks.size
        total = float(squares.sum())
        equal = np.full(blocks.models, 1.0 / blocks.models)
        return Selection(window, equal if total < MIN_SQUARES else squares / total)

    @quietly
    def combine(self, block: Block, selection: Selection) -> NDArray | Tensor:
        """``(models, rows, columns)`` of task vectors -> ``(rows, columns)``."""
        vectors = _selected(block, selection.window)
        up = _total(vectors) >= 0
        total: Array = 0.0
        divisor: Array = 0.0
        for vector, weight in zip(vectors, selection.weights, strict=True):
            agrees = ((vector > 0) & up) | ((vector < 0) & ~up)
            share = numbers(agrees, vector) * float(weight)
            total, divisor = total + vector * share, divisor + share
        merged: NDArray | Tensor = added(block, total / divisor.clip(MIN_DIVISOR, None))
        return merged


def _selected(block: Block, window: Window | None) -> list[Array]:
    """The task vectors, zero where their variance is not within the window."""
    vectors = changes(block)
    if window is None:
        return vectors
    varied = alone(block, [_variance(vectors)])
    thinned: Array = elected_sum(varied, Election(window, _ONE, _ONE, False, False, 1.0))
    kept = numbers(thinned > 0, thinned)
    return [vector * kept for vector in vectors]


def _variance(vectors: list[Array]) -> Array:
    """Of one element over the models: exactly zero where all are equal, and only there."""
    mean = _total(vectors) / len(vectors)
    first = vectors[0] - mean
    squares = first * first
    differ = vectors[0] != vectors[0]
    for vector in vectors[1:]:
        differ |= vector != vectors[0]
        gap = vector - mean
        gap *= gap
        squares += gap
    squares *= numbers(differ, mean)
    squares /= len(vectors)
    return squares


def _total(vectors: list[Array]) -> Array:
    return sum(vectors[1:], vectors[0])
