"""The best approximation of Σ wᵢ ΔWᵢ by one of less rank, from inner products alone.

With L W Rᵀ the sum (L and R the factors side by side, W the weights of their columns) and F Fᵀ
the inner products of R, the eigenvectors z of Fᵀ (W LᵀL W) F give the left singular vectors
L W F z / σ, and their eigenvalues are σ² [1].

[1] C. Eckart, G. Young. The approximation of one matrix by another of lower rank. Psychometrika 1,
    1936. https://doi.org/10.1007/BF02288367
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evomerge.adapters.updates import Floats, Stack, Update

# Squares of singular values are found to the rounding of the largest one; smaller are none.
_FLOOR = 1e-14
# Added to the inner products, so that dependent columns have a Cholesky factor.
_RIDGE = 1e-15
# Two singular values closer than this, relative to the largest, are one.
TOGETHER = 1e-9


@dataclass(frozen=True)
class Spectrum:
    """Singular values of a sum of updates, and the combinations of columns that belong to them.

    Attributes:
        values: falling, those that are not 0.
        left: ``(Σ ranks, values)``: L · left is U, the left singular vectors.
        right: ``(Σ ranks, values)``: R · right is V.
    """

    values: Floats
    left: Floats
    right: Floats

    def split_by(self, rank: int) -> bool:
        """Whether a cut at this rank goes through equal singular values, which no order tells."""
        if not 0 < rank < len(self.values):
            return False
        gap = self.values[rank - 1] - self.values[rank]
        return bool(gap <= TOGETHER * self.values[0])

    def truncated(self, stack: Stack, rank: int) -> Update:
        """The nearest update of this rank, in balanced factors."""
        roots = np.sqrt(self.values[:rank])
        return stack.combined(self.left[:, :rank] * roots, self.right[:, :rank] * roots)


def spectrum(stack: Stack, weights: Floats, right_gram: Floats | None = None) -> Spectrum:
    """The SVD of ``L diag(weights) Rᵀ``.

    Args:
        stack: whose columns are L and R.
        weights: ``(Σ ranks,)``.
        right_gram: the inner products of R, where they are to be others than the stack's.
    """
    right = stack.right_gram if right_gram is None else right_gram
    left = weights[:, None] * stack.left_gram * weights
    factor = _factor(right)
    squares, vectors = np.linalg.eigh(factor.T @ left @ factor)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    kept = int((squares > _FLOOR * max(float(squares[0]), 0.0)).sum()) if len(squares) else 0
    values = np.sqrt(squares[:kept])
    combined = factor @ vectors[:, :kept]
    return Spectrum(values, weights[:, None] * combined / values, left @ combined / squares[:kept])


def _factor(gram: Floats) -> Floats:
    """F with F Fᵀ = ``gram``, up to its rounding."""
    ridge = _RIDGE * max(float(np.trace(gram)), np.finfo(np.float64).tiny)
    for _ in range(8):
        try:
            factor: Floats = np.linalg.cholesky(gram + ridge * np.eye(len(gram)))
            return factor
        except np.linalg.LinAlgError:
            ridge *= 10.0
    values, vectors = np.linalg.eigh(gram)
    root: Floats = vectors * np.sqrt(np.clip(values, 0.0, None))
    return root
