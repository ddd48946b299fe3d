"""Adding task vectors to the base.

[1] G. Ilharco et al. Editing models with task arithmetic. ICLR 2023.
    https://arxiv.org/abs/2212.04089
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, weight
from evomerge.methods.sparsified import LAMBDA, NO_MASK, divisor, normalize

if TYPE_CHECKING:
    from torch import Tensor

# mergekit accepts these two here, without an effect; so do we.
UNUSED = [
    Param("density", 1.0, "no effect here", per_model=True, ignored=True),
    Param("rescale", False, "no effect here", ignored=True),
]


@merge_method(
    "task_arithmetic",
    base="required",
    params=[weight(), normalize(False), LAMBDA, *UNUSED, NO_MASK],
)
class TaskArithmetic:
    """The base plus lambda times the weighted sum of task vectors [1]; weights may be negative."""

    def survey(self, blocks: Blocks) -> None:
        """Nothing to know."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Shares:
        """``lambda * w_i``, divided by ``sum(w)`` if asked."""
        scale = parameters.number("lambda")
        if parameters.flag("normalize"):
            scale /= divisor(parameters.each("weight"))
        return Shares(scale * parameters.each("weight"))

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(models, rows, columns)`` of task vectors -> ``(rows, columns)``."""
        return weighted_sum(block, shares)
