"""Fréchet means: the point that the weighted squared distances to all others pull in no direction.

[1] J. da Silva, M. Adnan, F. Dangel, S. Oore. Generalizing the geometry of model merging through
    Fréchet averages. 2026. https://arxiv.org/abs/2604.27155
[2] M. Matena, C. Raffel. Merging models with Fisher-weighted averaging. NeurIPS 2022.
    https://arxiv.org/abs/2111.09832
[3] D. G. Anderson. Iterative procedures for nonlinear integral equations. Journal of the ACM 12,
    1965. https://doi.org/10.1145/321296.321305
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from evomerge.adapters.updates import Floats

# Steps that are remembered; differences of pulls that are a smaller share of one another, in
# squares, tell nothing new.
_MEMORY = 10
_RIDGE = 1e-14


class Geometry(Protocol):
    """Manifold, metric and distance, seen from the mean: points and changes of them are arrays."""

    def pull(self, at: Floats) -> Floats:
        """Minus half the gradient of Σ wᵢ d(at, xᵢ)², in the metric at ``at``."""

    def inner(self, at: Floats, tangents: Sequence[Floats]) -> Floats:
        """``(tangents, tangents)``: their inner products, relative to the size of the point."""

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """The point a whole pull further."""


@dataclass(frozen=True)
class Mean:
    """Where the search ended.

    Attributes:
        point: the mean.
        steps: how many were taken.
        residual: the relative length of the pull that is left.
    """

    point: Floats
    steps: int
    residual: float


def frechet_mean(geometry: Geometry, start: Floats, *, tolerance: float, steps: int) -> Mean:
    """Follows the pull until its relative length is at most ``tolerance``, ``steps`` times at most.

    Which of several means is found depends on the start [1]; the residual says whether one was.
    """
    at, past = start, _Past()
    for taken in range(steps + 1):
        pull = geometry.pull(at)
        residual = float(np.sqrt(max(0.0, geometry.inner(at, [pull])[0, 0])))
        if residual <= tolerance or taken == steps:
            break
        at = geometry.move(at, past.step(geometry, at, pull))
    return Mean(at, taken, residual)


@dataclass
class _Past:
    """The last steps, of which the next one learns how pulls change (Anderson's acceleration [3]).

    A pull is nearly linear in where it is taken. So the combination of earlier changes that would
    have left the least pull is taken back from the whole pull.

    Attributes:
        moves: what was moved by.
        changes: how each changed the pull.
        last: the pull before.
    """

    moves: list[Floats] = field(default_factory=list)
    changes: list[Floats] = field(default_factory=list)
    last: Floats | None = None

    def step(self, geometry: Geometry, at: Floats, pull: Floats) -> Floats:
        """What to move by, which is remembered."""
        if self.last is not None:
            self.changes = [*self.changes, pull - self.last][-_MEMORY:]
        move = pull
        if self.changes:
            products = geometry.inner(at, [*self.changes, pull])
            for share, moved, change in zip(
                _shares(products), self.moves, self.changes, strict=True
            ):
                move = move - share * (moved + change)
        self.moves = [*self.moves, move][-_MEMORY:]
        self.last = pull
        return move


def _shares(products: Floats) -> Floats:
    """Of each of some vectors, what brings their sum nearest to the last one: least squares.

    Args:
        products: ``(vectors + 1, vectors + 1)``: the inner products of all.
    """
    lengths = np.sqrt(np.maximum(products.diagonal()[:-1], np.finfo(np.float64).tiny))
    cosines = products[:-1, :-1] / np.outer(lengths, lengths) + _RIDGE * np.eye(len(lengths))
    wanted = products[:-1, -1] / lengths
    found: Floats = np.linalg.lstsq(cosines, wanted, rcond=_RIDGE)[0] / lengths
    return found


@dataclass(frozen=True)
class Sphere:
    """Unit vectors under the angle between them: ``karcher`` is this mean.

    Attributes:
        points: ``(points, n)``, of length 1.
        weights: ``(points,)``, which sum to 1.
    """

    points: Floats
    weights: Floats

    def pull(self, at: Floats) -> Floats:
        """Σ wᵢ log(xᵢ): along each great circle, as far as it is."""
        cosines = np.clip(self.points @ at, -1.0, 1.0)
        angles = np.arccos(cosines)
        # angle / sin(angle) is 1 at 0.
        factors = self.weights / np.sinc(angles / np.pi)
        return factors @ (self.points - cosines[:, None] * at)

    def inner(self, at: Floats, tangents: Sequence[Floats]) -> Floats:  # noqa: ARG002 -- unit vectors
        """Lengths are in radians."""
        return flat_products(tangents)

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """Along the great circle."""
        angle = float(np.linalg.norm(tangent))
        moved = np.cos(angle) * at + np.sinc(angle / np.pi) * tangent
        return moved / np.linalg.norm(moved)


@dataclass(frozen=True)
class Frozen:
    """Flat space in which each point measures by a diagonal metric of its own [1].

    d(θ, θᵢ)² = (θ − θᵢ)ᵀ Fᵢ (θ − θᵢ) is the squared geodesic distance with the metric frozen where
    θᵢ is. The mean is Fisher merging [2], Σ wᵢ Fᵢ θᵢ / Σ wᵢ Fᵢ; with F = 1 it is the average.

    Attributes:
        points: the θᵢ, of one shape.
        metrics: the Fᵢ, positive, of the same shape.
        weights: ``(points,)``.
    """

    points: Sequence[Floats]
    metrics: Sequence[Floats]
    weights: Floats

    def pull(self, at: Floats) -> Floats:
        """Towards the points, in the metric Σ wᵢ Fᵢ."""
        parts = zip(self.weights, self.metrics, self.points, strict=True)
        total = np.tensordot(self.weights, np.stack(self.metrics), 1)
        pulled: Floats = np.sum([w * f * (point - at) for w, f, point in parts], axis=0) / total
        return pulled

    def inner(self, at: Floats, tangents: Sequence[Floats]) -> Floats:
        """Relative to the point."""
        return flat_products(tangents) / max(float(np.sum(at**2)), np.finfo(np.float64).tiny)

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """Straight on."""
        return at + tangent


def flat_products(tangents: Sequence[Floats]) -> Floats:
    """The inner products of arrays as vectors."""
    vectors = np.stack(tangents).reshape(len(tangents), -1)
    products: Floats = vectors @ vectors.T
    return products
