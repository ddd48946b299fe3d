"""The Karcher mean: the point on the sphere that is nearest to all directions.

[1] H. Karcher. Riemannian center of mass and mollifier smoothing. Communications on Pure and
    Applied Mathematics 30, 1977. https://doi.org/10.1002/cpa.3160300502
"""

from __future__ import annotations

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

MAX_ITER = Param("max_iter", 10, "steps at most")
TOL = Param("tol", 1e-5, "steps and angles below this, in radians, end the search")


@merge_method(
    "karcher",
    base="input",
    params=[weight(required=False, search=(0.0, 1.0)), MAX_ITER, TOL],
)
class Karcher:
    """The Fréchet mean of the models' directions [1], with their mean length.

    Unlike mergekit's it takes weights, equal by default.
    """

    def check(self, parameters: Parameters) -> None:
        """A mean needs weights that sum to something."""
        if sum_to_zero(parameters.each("weight")):
            raise MergeError("the weights sum to zero; give others, or none for equal shares")

    def survey(self, blocks: Blocks) -> Floats:
        """The inner products of the models: ``(models, models)``."""
        return gram(blocks)

    def settle(self, inner: Floats, blocks: Blocks, parameters: Parameters) -> Shares:
        """Coordinates of the mean direction, times the mean length."""
        weights = parameters.each("weight")
        weights = weights / weights.sum()
        tolerance = parameters.number("tol")
        lengths = norms(inner)
        long = lengths > tolerance
        if not long.any():
            return Shares(np.zeros_like(weights))
        alive = np.where(long, weights, 0.0)
        directions = np.diag(1.0 / np.where(long, lengths, np.inf))[long]
        centre = _mean_direction(
            inner,
            directions,
            alive[long] / (alive.sum() or 1.0),
            int(parameters.number("max_iter")),
            tolerance,
        )
        return Shares(float(weights @ lengths) * centre)

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(models, rows, columns)`` -> ``(rows, columns)``."""
        return weighted_sum(block, shares)


def _mean_direction(
    inner: Floats, directions: Floats, weights: Floats, steps: int, tolerance: float
) -> Floats:
    """``(models,)``: coordinates of the unit vector whose weighted tangents to all cancel."""
    centre = weights @ directions
    length = norm(inner, centre)
    centre = centre / length if length >= tolerance else directions[0]
    for _ in range(steps):
        tangent = weights @ log_map(inner, centre, directions, tolerance)
        if norm(inner, tangent) < tolerance:
            break
        centre = exp_map(inner, centre, tangent)
    return centre
