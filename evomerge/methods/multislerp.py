"""A weighted mean of directions, scaled to the mean length.

[1] Goddard. Multi-SLERP. 2025. https://goddard.blog/posts/multislerp-wow-what-a-cool-idea
"""

from __future__ import annotations

from math import cos
from typing import TYPE_CHECKING

import numpy as np

from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import gram, weighted_sum
from evomerge.kernels.sums import Floats, Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, sum_to_zero, weight
from evomerge.methods.sphere import exp_map, log_map, norm, norms

if TYPE_CHECKING:
    from torch import Tensor

NORMALIZE = Param("normalize_weights", True, "divide the weights by their sum")
EPS = Param("eps", 1e-8, "added to lengths; a shorter mean direction gives way to a plain mean")
MAP = Param(
    "map",
    "mergekit",
    "log: a true step of the log and exp maps; mergekit: its tangent is zero",
    options=("mergekit", "log"),
)


@merge_method(
    "multislerp", base="optional", params=[weight(search=(0.0, 1.0)), NORMALIZE, EPS, MAP]
)
class MultiSlerp:
    """The barycentre of the models, or of their task vectors, on the sphere [1].

    With ``map: mergekit`` it is the normalised weighted mean of the unit vectors; with ``map: log``
    one step of the true log and exp maps is taken from there towards the Karcher mean.
    """

    def check(self, parameters: Parameters) -> None:
        """Weights that sum to zero have no mean."""
        if parameters.flag("normalize_weights") and sum_to_zero(parameters.each("weight")):
            raise MergeError("the weights sum to zero; give others, or 'normalize_weights: false'")

    def survey(self, blocks: Blocks) -> Floats:
        """The inner products of the inputs: ``(models, models)``."""
        return gram(blocks)

    def settle(self, inner: Floats, blocks: Blocks, parameters: Parameters) -> Shares:
        """Coordinates of the mean direction, times the mean length; one model stays as it is."""
        weights = parameters.each("weight")
        if blocks.models == 1:
            return Shares(np.ones(1))
        if parameters.flag("normalize_weights"):
            weights = weights / weights.sum()
        lengths = norms(inner)
        eps = parameters.number("eps")
        directions = np.diag(1.0 / (lengths + eps))
        centre = weights @ directions
        length = float(norm(inner, centre))
        if length < eps:
            return Shares(weights)
        centre = centre / length
        if parameters.word("map") == "log":
            tangent = weights @ log_map(inner, centre, directions, eps)
            centre = exp_map(inner, centre, tangent)
        else:
            # mergekit's tangent is zero, but it takes a step of length eps along it.
            centre = cos(eps) * centre
        return Shares(float(weights @ lengths) * centre)

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(models, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)
