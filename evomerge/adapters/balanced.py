"""The mean of balanced factors up to rotation: the Bures–Wasserstein mean [1] of fixed rank [2].

An update is the point Z = [U √S; V √S], and Z and Z Q are the same point for orthogonal Q. The
distance is that of Z and Zᵢ Qᵢ under the best rotation Qᵢ = polar(Zᵢᵀ Z).

[1] R. Bhatia, T. Jain, Y. Lim. On the Bures–Wasserstein distance between positive definite
    matrices. Expositiones Mathematicae 37, 2019. https://doi.org/10.1016/j.exmath.2018.01.002
[2] E. Massart, P.-A. Absil. Quotient geometry with simple geodesics for the manifold of
    fixed-rank positive-semidefinite matrices. SIAM J. Matrix Anal. Appl. 41, 2020.
    https://doi.org/10.1137/18M1231389
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evomerge.adapters.frechet_mean import Mean, frechet_mean
from evomerge.adapters.updates import Floats, Stack

# Directions whose eigenvalue is a smaller share of the largest are left out of the start.
_FLOOR = 1e-13
# The same of the columns of a mean that is started from.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Balanced:
    """The geometry, on coefficients: Z = [L; R] C, with C ``(Σ ranks, rank)``.

    Attributes:
        stack: the updates.
        gram: ``(Σ ranks, Σ ranks)``: the inner products of the columns of [L; R].
    """

    stack: Stack
    gram: Floats

    @classmethod
    def of(cls, stack: Stack) -> Balanced:
        """The geometry of some updates, of which the weights must be positive."""
        return cls(stack, stack.left_gram + stack.right_gram)

    @property
    def common(self) -> float:
        """How little an update has in common with the others, in a direction: a cosine.

        At 0 no rotation is nearest, and the mean is not unique.
        """
        lengths = np.sqrt(np.diag(self.gram))
        cosines = self.gram / np.outer(lengths, lengths)
        smallest = 1.0
        for columns in self.stack.columns:
            others = np.delete(cosines[columns], columns, axis=1)
            if others.size:
                smallest = min(smallest, float(np.linalg.svd(others, compute_uv=False).min()))
        return smallest

    def turned(self, at: Floats) -> list[Floats]:
        """For each update its rotation ``(its rank, rank)`` to the point: polar(Zᵢᵀ Z)."""
        return [_polar(self.gram[columns] @ at) for columns in self.stack.columns]

    def pull(self, at: Floats) -> Floats:
        """Σ wᵢ Zᵢ Qᵢ − Z."""
        return self.stack.column_weights[:, None] * np.concatenate(self.turned(at)) - at

    def length(self, at: Floats, tangent: Floats) -> float:
        """Relative to the length of Z."""
        return self._norm(tangent) / max(self._norm(at), np.finfo(np.float64).tiny)

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """Straight on: the geodesics of a quotient by rotations are straight lines."""
        return at + tangent

    def start(self, rank: int) -> Floats:
        """The point of this rank nearest to Σ wᵢ Zᵢ Zᵢᵀ, which no order of the updates changes."""
        roots = np.sqrt(self.stack.column_weights)
        values, vectors = np.linalg.eigh(roots[:, None] * self.gram * roots)
        values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
        return roots[:, None] * vectors[:, values > _FLOOR * values[0]]

    def _norm(self, coefficients: Floats) -> float:
        return float(np.sqrt(max(0.0, np.sum(coefficients * (self.gram @ coefficients)))))


def balanced_mean(stack: Stack, rank: int, *, tolerance: float, steps: int) -> Mean[Floats]:
    """The mean of this rank, as coefficients of both factors; the weights must be positive."""
    geometry = Balanced.of(stack)
    return frechet_mean(geometry, geometry.start(rank), tolerance=tolerance, steps=steps)


def without_nothing(geometry: Balanced, at: Floats) -> Floats:
    """A point in as many columns as it has directions."""
    values, vectors = np.linalg.eigh(at.T @ geometry.gram @ at)
    return at @ vectors[:, values > _NEGLIGIBLE * values[-1]]


def _polar(matrix: Floats) -> Floats:
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return u @ v
