"""The family of thinned task vectors: thin each, weigh, elect signs or not, add to the base.

[1] P. Yadav et al. TIES-Merging: resolving interference when merging models. NeurIPS 2023.
    https://arxiv.org/abs/2306.01708
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import elected_sum
from evomerge.kernels.sums import Election, Floats
from evomerge.kernels.thinning import Thinning
from evomerge.methods.base import Blocks, Param, Parameters
from evomerge.methods.sparsify import Magnitudes, l1_factors

if TYPE_CHECKING:
    from torch import Tensor

# A sum of weights smaller than this does not divide, as in mergekit.
MIN_DIVISOR = 1e-8

LAMBDA = Param("lambda", 1.0, "factor on the merged task vector", search=(0.3, 2.0))
NO_MASK = Param("int8_mask", False, "accepted; our masks take no memory", ignored=True)


def normalize(default: bool) -> Param:
    """The parameter ``normalize``, whose default differs from method to method."""
    return Param("normalize", default, "divide by the sum of the (agreeing) weights")


def divisor(weights: Floats) -> float:
    """The sum of the weights, or 1 when that is zero."""
    total = float(weights.sum())
    return total if abs(total) >= MIN_DIVISOR else 1.0


class Sparsified:
    """The three steps of the family; a method says how it thins, and whether it elects.

    Election (Eq. 2-4 of [1]): at each element the sign of the weighted sum wins, and only the
    models that agree with it are summed, and with ``normalize`` divided by their weights.
    """

    elect: ClassVar[bool]

    def survey(self, blocks: Blocks) -> Magnitudes:
        """The magnitudes of all task vectors, counted when a parameter asks for it."""
        return Magnitudes(blocks.size)

    def thin(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Thinning:
        """Which elements survive."""
        raise NotImplementedError

    def factors(
        self, survey: Magnitudes, blocks: Blocks, thinning: Thinning, parameters: Parameters
    ) -> Floats:
        """``(models,)``: what survivors are multiplied with; here, what restores the L1 norm."""
        if parameters.word("rescale") in (True, "l1"):
            return l1_factors(survey, blocks, thinning)
        return np.ones(blocks.models)

    def settle(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Election:
        """Thinning, factors and weights of the one pass that is left."""
        weights = parameters.each("weight")
        thinning = self.thin(survey, blocks, parameters)
        factors = self.factors(survey, blocks, thinning, parameters)
        scale, normalized = parameters.number("lambda"), parameters.flag("normalize")
        if normalized and not self.elect:
            scale /= divisor(weights)
        return Election(thinning, weights * factors, weights, self.elect, normalized, scale)

    def combine(self, block: Block, election: Election) -> NDArray | Tensor:
        """``(models, rows, columns)`` of task vectors -> ``(rows, columns)``."""
        return elected_sum(block, election)
