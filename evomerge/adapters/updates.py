"""Low-rank updates ΔW = s B A as two thin factors, freed of their gauge, and side by side.

(B, A) and (B G, G⁻¹ A) are one update for every invertible G, so what is computed from the factors
as they were trained can depend on an accident. Balanced factors (U √S and V √S of the thin SVD
U S Vᵀ) are the update's own, up to a rotation; everything here starts from them. No matrix of the
size of ΔW is formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

# Singular values below this share of the largest are what rounding left of zero.
RANK_FLOOR = 1e-10


@dataclass(frozen=True)
class Update:
    """``left @ right.T``, a change of one matrix.

    Attributes:
        left: ``(outputs, rank)``, float64: s B, or what plays its part.
        right: ``(inputs, rank)``, float64: Aᵀ.
    """

    left: Floats
    right: Floats

    @classmethod
    def zero(cls, shape: tuple[int, int]) -> Update:
        """No change of a matrix of this shape: rank 0."""
        return cls(np.zeros((shape[0], 0)), np.zeros((shape[1], 0)))

    @property
    def rank(self) -> int:
        """The columns of each factor."""
        return int(self.left.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)``."""
        return int(self.left.shape[0]), int(self.right.shape[0])

    def scaled(self, factor: float) -> Update:
        """The update times a number."""
        return Update(factor * self.left, self.right)

    def cut(self, rank: int) -> Update:
        """The first columns. Of a balanced update, the nearest one of this rank."""
        return Update(self.left[:, :rank], self.right[:, :rank])

    def balanced(self, floor: float = RANK_FLOOR) -> Update:
        """The same update with factors ``U √S`` and ``V √S``; singular values fall.

        Directions whose singular value is at most ``floor`` times the largest are left out, so
        that a factor padded with zeros counts as the smaller one.
        """
        if not self.rank:
            return self
        whole, values = self._thin
        kept = int((values > floor * values[0]).sum())
        return whole if kept == whole.rank else whole.cut(kept)

    @cached_property
    def _thin(self) -> tuple[Update, Floats]:
        """Balanced factors of all directions, and the singular values: found once."""
        left, up = np.linalg.qr(self.left)
        right, down = np.linalg.qr(self.right)
        u, values, v = np.linalg.svd(up @ down.T, full_matrices=False)
        roots = np.sqrt(values)
        return Update(left @ (u * roots), right @ (v.T * roots)), values


@dataclass(frozen=True)
class Stack:
    """Balanced updates of one matrix, their factors side by side.

    Means are combinations of these columns, so all that iterates works on inner products: on
    matrices of Σ ranks, however large the model is.

    Attributes:
        updates: in the order of the adapters.
        weights: ``(updates,)``.
    """

    updates: Sequence[Update]
    weights: Floats

    @classmethod
    def of(cls, updates: Sequence[Update], weights: Floats, floor: float = RANK_FLOOR) -> Stack:
        """Balances the updates; those that are 0, or of weight 0, have no columns in it."""
        balanced = [update.balanced(floor) for update in updates]
        pairs = zip(balanced, weights, strict=True)
        kept = [i for i, (update, weight) in enumerate(pairs) if weight and update.rank]
        return cls([balanced[i] for i in kept], weights[kept])

    def cut(self, rank: int) -> Stack:
        """Each update brought to this rank, if it has more."""
        return Stack([update.cut(rank) for update in self.updates], self.weights)

    @cached_property
    def left(self) -> Floats:
        """``(outputs, Σ ranks)``."""
        return np.concatenate([update.left for update in self.updates], axis=1)

    @cached_property
    def right(self) -> Floats:
        """``(inputs, Σ ranks)``."""
        return np.concatenate([update.right for update in self.updates], axis=1)

    @cached_property
    def left_gram(self) -> Floats:
        """``(Σ ranks, Σ ranks)``: the inner products of the left columns."""
        return self.left.T @ self.left

    @cached_property
    def right_gram(self) -> Floats:
        """``(Σ ranks, Σ ranks)``: the inner products of the right columns."""
        return self.right.T @ self.right

    @cached_property
    def columns(self) -> list[slice]:
        """For each update, which columns are its own."""
        ends = np.cumsum([update.rank for update in self.updates])
        return [
            slice(int(end) - update.rank, int(end))
            for end, update in zip(ends, self.updates, strict=True)
        ]

    @cached_property
    def column_weights(self) -> Floats:
        """``(Σ ranks,)``: the weight of the update that each column belongs to."""
        return np.repeat(self.weights, [update.rank for update in self.updates])

    @property
    def width(self) -> int:
        """Σ ranks."""
        return sum(update.rank for update in self.updates)

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)``."""
        return self.updates[0].shape

    def combined(self, left: Floats, right: Floats) -> Update:
        """The update whose factors are these combinations of the columns: ``(Σ ranks, rank)``."""
        return Update(self.left @ left, self.right @ right)
