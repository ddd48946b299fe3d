"""Passing a single model's tensors through: what layer stacks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method

if TYPE_CHECKING:
    from torch import Tensor

SCALE = Param(
    "scale", None, "factor on the tensor; none leaves it alone", per_model=True, search=(0.5, 1.5)
)


@merge_method("passthrough", base="input", models=(1, 1), params=[SCALE])
class Passthrough:
    """Takes the tensors of the one model of each slice, scaled if asked."""

    def survey(self, blocks: Blocks) -> None:
        """Nothing to know."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Shares:
        """The scale, 1 where none is given."""
        (scale,) = parameters.per_model["scale"]
        return Shares(
            Parameters(per_model={"scale": [1.0 if scale is None else scale]}).each("scale")
        )

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(1, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)
