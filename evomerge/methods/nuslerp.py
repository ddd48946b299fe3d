"""Spherical interpolation by weights, of models or of task vectors, whole or row by row.

[1] K. Shoemake. Animating rotation with quaternion curves. SIGGRAPH 1985.
    https://doi.org/10.1145/325334.325242
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import column_gram, gram, row_gram, weighted_sum
from evomerge.kernels.sums import Floats, Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, weight
from evomerge.methods.sphere import along_arc, norms

if TYPE_CHECKING:
    from torch import Tensor

# Weights whose sum is smaller than this say nothing about the place between the two.
MIN_WEIGHT = 1e-6
# Below this squared sine the arc is a straight line.
MIN_SQUARED_SINE = 1e-16
# Shorter vectors count as having this length, as in mergekit: their direction fades.
MIN_NORM = 1e-7

FLATTEN = Param("nuslerp_flatten", True, "each tensor is one vector; false: many")
ROW_WISE = Param("nuslerp_row_wise", False, "of many vectors: along the first axis, not the last")


@merge_method(
    "nuslerp",
    base="optional",
    models=(2, 2),
    partial="lone",
    params=[weight(search=(0.0, 1.0)), FLATTEN, ROW_WISE],
)
class NuSlerp:
    """Interpolates on the arc between two models, or their task vectors, by their weights [1]."""

    def survey(self, blocks: Blocks) -> Blocks:
        """The blocks: which inner products are needed depends on a parameter."""
        return blocks

    def settle(self, survey: Blocks, blocks: Blocks, parameters: Parameters) -> Shares:
        """The shares of both, for the tensor, for each row, or for each column."""
        first, second = parameters.each("weight")
        total = first + second
        t = 0.5 if abs(total) < MIN_WEIGHT else second / total
        per = _vectors(parameters, blocks)
        inner = _inner_products(blocks, per)
        lengths = np.maximum(norms(inner), MIN_NORM)
        cosine = np.clip(inner[..., 0, 1] / lengths.prod(axis=-1), -1.0, 1.0)
        ends = along_arc(cosine, t, 1.0 - cosine**2 <= MIN_SQUARED_SINE)
        return Shares(np.stack(ends), per)

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(2, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)


Per = Literal["tensor", "row", "column"]


def _vectors(parameters: Parameters, blocks: Blocks) -> Per:
    """What counts as one vector; a tensor of one axis or none is one either way."""
    if parameters.flag("nuslerp_flatten") or len(blocks.shape) < 2:  # noqa: PLR2004
        return "tensor"
    return "column" if parameters.flag("nuslerp_row_wise") else "row"


def _inner_products(blocks: Blocks, per: Per) -> Floats:
    if per == "column":
        return column_gram(blocks, blocks.size // blocks.shape[0])
    return row_gram(blocks) if per == "row" else gram(blocks)
