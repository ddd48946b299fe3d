"""Weighted averaging of weights: model soups.

[1] M. Wortsman et al. Model soups: averaging weights of multiple fine-tuned models improves
    accuracy without increasing inference time. ICML 2022. https://arxiv.org/abs/2203.05482
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, sum_to_zero, weight

if TYPE_CHECKING:
    from torch import Tensor

NORMALIZE = Param("normalize", True, "divide by the sum of the weights")


@merge_method("linear", base="input", params=[weight(), NORMALIZE])
class Linear:
    """The weighted mean of the models, or with ``normalize: false`` their weighted sum."""

    def check(self, parameters: Parameters) -> None:
        """Weights that sum to zero have no mean."""
        weights = parameters.each("weight")
        if parameters.flag("normalize") and sum_to_zero(weights):
            listed = ", ".join(f"{w:g}" for w in weights)
            raise MergeError(
                f"the weights {listed} sum to zero; give other weights, or 'normalize: false'"
            )

    def survey(self, blocks: Blocks) -> None:
        """Nothing to know."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Shares:
        """``w_i / sum(w)``."""
        weights = parameters.each("weight")
        return Shares(weights / weights.sum() if parameters.flag("normalize") else weights)

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(models, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)
