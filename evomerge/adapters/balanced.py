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

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evomerge.adapters.frechet_mean import Mean, frechet_mean
from evomerge.adapters.updates import Floats, Stack

# Directions whose eigenvalue is a smaller share of the largest are left out of the start.
_FLOOR = 1e-13
# What an update's own part weighs in where it is turned to: enough that directions for which the
# others have no counterpart stay where they are.
_OWN = 1e-6
# Directions of a mean that are a smaller share of its largest, in squares, are none.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Balanced:
    """The geometry, on the rotations Qᵢ side by side: ``(Σ ranks, rank)``; Z is Σ wᵢ Zᵢ Qᵢ.

    Of the pull on each update only what comes from the others is followed: at the mean the rest
    adds nothing, and where updates have little in common it would hold each where it is.

    Attributes:
        stack: the updates, of positive weight.
        gram: ``(Σ ranks, Σ ranks)``: the inner products of the columns of all Zᵢ.
    """

    stack: Stack
    gram: Floats

    @classmethod
    def of(cls, stack: Stack) -> Balanced:
        """The geometry of some updates."""
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

    def pull(self, at: Floats) -> Floats:
        """Each rotation in turn to polar(Zᵢᵀ Σ wⱼ Zⱼ Qⱼ), nearly of the others j alone."""
        reached = at.copy()
        for columns in self.stack.columns:
            mean = self.combined(reached)
            mean[columns] *= _OWN
            reached[columns] = polar(self.gram[columns] @ mean)
        return reached - at

    def inner(self, at: Floats, tangents: Sequence[Floats]) -> Floats:
        """Of how far Z moves, relative to its length."""
        moved = np.stack([*(self.combined(each) for each in tangents), self.combined(at)])
        flat = len(moved), -1
        products = moved.reshape(flat) @ (self.gram @ moved).reshape(flat).T
        return products[:-1, :-1] / max(float(products[-1, -1]), np.finfo(np.float64).tiny)

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """To the new rotations."""
        return at + tangent

    def combined(self, at: Floats) -> Floats:
        """Z, as coefficients of the columns: ``(Σ ranks, rank)``."""
        return self.stack.column_weights[:, None] * at

    def turned(self, mean: Floats) -> Floats:
        """The rotations to a point that is given by its coefficients: polar(Zᵢᵀ Z)."""
        return np.concatenate([polar(self.gram[each] @ mean) for each in self.stack.columns])

    def start(self, rank: int) -> Floats:
        """The point of this rank nearest to Σ wᵢ Zᵢ Zᵢᵀ, which no order of the updates changes."""
        roots = np.sqrt(self.stack.column_weights)
        values, vectors = np.linalg.eigh(roots[:, None] * self.gram * roots)
        values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
        return roots[:, None] * vectors[:, values > _FLOOR * values[0]]


def balanced_mean(stack: Stack, rank: int, *, tolerance: float, steps: int) -> Mean:
    """The mean of this rank, as coefficients of both factors; the weights must be positive."""
    geometry = Balanced.of(stack)
    start = geometry.turned(geometry.start(rank))
    found = frechet_mean(geometry, start, tolerance=tolerance, steps=steps)
    return replace(found, point=geometry.combined(found.point))


def without_nothing(geometry: Balanced, at: Floats) -> Floats:
    """A point in as many columns as it has directions."""
    values, vectors = np.linalg.eigh(at.T @ geometry.gram @ at)
    return at @ vectors[:, values > _NEGLIGIBLE * values[-1]]


def polar(matrix: Floats) -> Floats:
    """The orthogonal factor: the nearest matrix with orthonormal rows or columns."""
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return u @ v
