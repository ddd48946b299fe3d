"""Arcee Fusion: takes from another model only the changes that matter most.

[1] Arcee AI. Arcee Fusion, in mergekit's guide to merge methods. 2025.
    https://github.com/arcee-ai/mergekit/blob/main/docs/merge_methods.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import row_divergences
from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Parameters, merge_method
from evomerge.methods.changes import Array, Derived, added, by_row, changes, numbers, quietly
from evomerge.methods.sparsify import Magnitudes

if TYPE_CHECKING:
    from torch import Tensor

# Added to every probability, as in mergekit.
FLOOR = 1e-8
# Changes this many times the middle half's width above the median are taken.
WIDTHS = 1.5


@dataclass(frozen=True)
class Importance:
    """Which changes matter.

    Attributes:
        divergence: ``(rows,)``: what a row's changes are multiplied with.
        threshold: the least importance that counts.
    """

    divergence: Floats
    threshold: float


@merge_method("arcee_fusion", base="required", models=(1, 1), partial="lone")
class ArceeFusion:
    """Takes the changes whose size, times how far their row's softmax moved, stands out [1].

    What stands out is at least the median plus 1.5 times the distance of the quartiles.
    """

    @quietly
    def survey(self, blocks: Blocks) -> Importance:
        """Everything: there are no parameters."""
        (divergence,) = row_divergences(blocks, FLOOR)

        def importance(block: Block) -> list[Array]:
            return [_importance(block, changes(block)[0], divergence)]

        last = blocks.size - 1
        ranks = [blocks.size - quarters * last // 4 for quarters in (1, 2, 3)]
        sizes = Magnitudes(blocks.size).sizes(Derived(blocks, 1, importance), ranks)
        lower, median, upper = sizes.astype(np.float32)
        return Importance(divergence, float(median + np.float32(WIDTHS) * (upper - lower)))

    def settle(self, survey: Importance, blocks: Blocks, parameters: Parameters) -> Importance:
        """What the survey found."""
        return survey

    @quietly
    def combine(self, block: Block, found: Importance) -> NDArray | Tensor:
        """``(1, rows, columns)`` -> ``(rows, columns)``."""
        (change,) = changes(block)
        important = _importance(block, change, found.divergence) >= found.threshold
        merged: NDArray | Tensor = added(block, change * numbers(important, change))
        return merged


def _importance(block: Block, change: Array, divergence: Floats) -> Array:
    return by_row(block, abs(change), divergence)
