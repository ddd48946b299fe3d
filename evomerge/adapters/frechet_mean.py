"""Fréchet means: the point that the weighted squared distances to all others pull in no direction.

[1] J. da Silva, M. Adnan, F. Dangel, S. Oore. Generalizing the geometry of model merging through
    Fréchet averages. 2026. https://arxiv.org/abs/2604.27155
[2] M. Matena, C. Raffel. Merging models with Fisher-weighted averaging. NeurIPS 2022.
    https://arxiv.org/abs/2111.09832
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from evomerge.adapters.updates import Floats

Point = TypeVar("Point")
Tangent = TypeVar("Tangent")


class Geometry(Protocol[Point, Tangent]):
    """Manifold, metric and distance, seen from the mean that is looked for."""

    def pull(self, at: Point) -> Tangent:
        """Minus half the gradient of Σ wᵢ d(at, xᵢ)², in the metric at ``at``."""

    def length(self, at: Point, tangent: Tangent) -> float:
        """The length of a pull, relative to the size of the point."""

    def move(self, at: Point, tangent: Tangent) -> Point:
        """The point a whole pull further."""


@dataclass(frozen=True)
class Mean(Generic[Point]):
    """Where the search ended.

    Attributes:
        point: the mean.
        steps: how many were taken.
        residual: the relative length of the pull that is left.
    """

    point: Point
    steps: int
    residual: float


def frechet_mean(
    geometry: Geometry[Point, Tangent], start: Point, *, tolerance: float, steps: int
) -> Mean[Point]:
    """Follows the pull until its relative length is at most ``tolerance``, ``steps`` times at most.

    Which of several means is found depends on the start [1]; the residual says whether one was.
    """
    at = start
    for taken in range(steps + 1):
        tangent = geometry.pull(at)
        residual = geometry.length(at, tangent)
        if residual <= tolerance or taken == steps:
            break
        at = geometry.move(at, tangent)
    return Mean(at, taken, residual)


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

    def length(self, at: Floats, tangent: Floats) -> float:  # noqa: ARG002 -- of one geometry
        """In radians."""
        return float(np.linalg.norm(tangent))

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

    def length(self, at: Floats, tangent: Floats) -> float:
        """Relative to the point."""
        return float(np.linalg.norm(tangent) / max(float(np.linalg.norm(at)), 1e-300))

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """Straight on."""
        return at + tangent
