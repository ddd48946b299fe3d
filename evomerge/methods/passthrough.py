"""Passing a single model's tensors through: what layer stacks are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method

if TYPE_CHECKING:
    from torch import Tensor

SCALE = Param(
    "scale", None, "factor on the tensor; none leaves it alone", per_model=True, search=(0.5, 1.5)
)
GAIN = Param(
    "gain",
    None,
    "ours: factor on a gain that is stored as its difference from 1, as Gemma's norms are; "
    "where there is one, scale does not count",
    per_model=True,
    search=(0.5, 1.5),
)


@merge_method("passthrough", base="input", models=(1, 1), params=[SCALE, GAIN])
class Passthrough:
    """Takes the tensors of the one model of each slice, scaled if asked."""

    def copies(self, parameters: Parameters) -> bool:
        """Unless there is a factor."""
        (scale,), (gain,) = parameters.per_model["scale"], parameters.per_model["gain"]
        return gain is None and (scale is None or float(scale) == 1.0)

    def survey(self, blocks: Blocks) -> None:
        """Nothing to know."""

    def settle(
        self, survey: None, blocks: Blocks, parameters: Parameters
    ) -> tuple[Shares, Shares | None]:
        """The scale, 1 where none is given; and what becomes of a gain, if anything."""
        (gain,) = parameters.per_model["gain"]
        (scale,) = parameters.per_model["scale"]
        whole = Shares(np.array([1.0 if scale is None else float(scale)]))
        return whole, None if gain is None else Shares(np.array([float(gain)]))

    def combine(self, block: Block, shares: tuple[Shares, Shares | None]) -> NDArray | Tensor:
        """``(1, rows, columns)`` -> ``(rows, columns)``."""
        scale, gain = shares
        if gain is None:
            return weighted_sum(block, scale)
        # g (1 + w) - 1 is the way from -1 to w, gone g times as far.
        (gains,) = block.inputs
        return weighted_sum(replace(block, base=gains * 0 - 1), gain)
