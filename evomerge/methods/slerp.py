"""Spherical linear interpolation: two models, one arc.

[1] K. Shoemake. Animating rotation with quaternion curves. SIGGRAPH 1985.
    https://doi.org/10.1145/325334.325242
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import gram, weighted_sum
from evomerge.kernels.sums import Floats, Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method
from evomerge.methods.sphere import along_arc, norms

if TYPE_CHECKING:
    from torch import Tensor

# Beyond this |cosine| mergekit leaves the arc for the straight line. Kept equal, so that
# a recipe gives the same model in both programs.
MAX_COSINE = 0.9995
# Vectors no longer than this have no direction; mergekit does not divide by their length.
MIN_NORM = 1e-8

T = Param("t", 0.5, "0 is the base, 1 the other model", required=True, search=(0.0, 1.0))


@merge_method("slerp", base="first", models=(2, 2), partial="lone", params=[T])
class Slerp:
    """Moves a fraction ``t`` along the great circle from the base to the other model [1].

    Each tensor counts as one flat vector. Nearly parallel and nearly opposite vectors, which span
    no well-defined arc, are interpolated on the straight line instead.
    """

    def survey(self, blocks: Blocks) -> Floats:
        """The inner products of the two models: ``(2, 2)``."""
        return gram(blocks)

    def settle(self, inner: Floats, blocks: Blocks, parameters: Parameters) -> Shares:
        """``sin((1-t) a) / sin(a)`` and ``sin(t a) / sin(a)``; ``a`` is the angle between them."""
        lengths = norms(inner)
        lengths = np.where(lengths > MIN_NORM, lengths, 1.0)
        cosine = np.clip(inner[0, 1] / lengths.prod(), -1.0, 1.0)
        ends = along_arc(cosine, parameters.number("t"), np.abs(cosine) > MAX_COSINE)
        return Shares(np.array(ends))

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(2, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)
