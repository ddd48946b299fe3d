"""The mean under a metric that no change of gauge alters, on pairs of factors up to GL(r) [1][2].

At (B, A) a change (X, Y) has the squared length tr((BᵀB)⁻¹ XᵀX) + tr((AAᵀ)⁻¹ YYᵀ). An update is
brought to the gauge (Bᵢ G, G⁻¹ Aᵢ) in which its difference from the point is shortest; of the mean
of these differences only the horizontal part counts, which is no change of gauge of the point.

[1] G. Meyer, S. Bonnabel, R. Sepulchre. Linear regression under fixed-rank constraints: a
    Riemannian approach. ICML 2011. https://icml.cc/2011/papers/350_icmlpaper.pdf
[2] J. da Silva, M. Adnan, F. Dangel, S. Oore. Generalizing the geometry of model merging through
    Fréchet averages. 2026. https://arxiv.org/abs/2604.27155
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_sylvester

from evomerge.adapters.frechet_mean import Mean, frechet_mean
from evomerge.adapters.gauges import Gauge, Nearest
from evomerge.adapters.updates import Floats, Stack


@dataclass
class Invariant:
    """The geometry, on coefficients of the columns of a stack: ``(2, Σ ranks, rank)``.

    A point is B = L · at[0] and Aᵀ = R · at[1], and so is a change of one.

    Attributes:
        stack: the updates, none of them 0.
        gauges: of the updates, where they were nearest to the last point: where the search for
            those of the next one begins.
    """

    stack: Stack
    gauges: Sequence[Gauge]

    def pull(self, at: Floats) -> Floats:
        """Σ wᵢ (Bᵢ Gᵢ − B, Gᵢ⁻¹ Aᵢ − A), each in its best gauge, without a mere change of gauge."""
        frame = _Frame.at(self.stack, at)
        self.gauges = [
            frame.nearest(columns).found_from(gauge)
            for columns, gauge in zip(self.stack.columns, self.gauges, strict=True)
        ]
        left = np.concatenate([gauge.left for gauge in self.gauges])
        right = np.concatenate([gauge.right.T for gauge in self.gauges])
        mean = self.stack.column_weights[:, None] * np.stack([left, right])
        return frame.horizontal(at, mean - at)

    def inner(self, at: Floats, tangents: Sequence[Floats]) -> Floats:
        """In the metric, where the point itself has the length 1."""
        frame = _Frame.at(self.stack, at)
        sides = zip(
            np.stack(tangents, axis=1),
            (self.stack.left_gram, self.stack.right_gram),
            (frame.left_inverse, frame.right_inverse),
            strict=True,
        )
        count = len(tangents)
        products = np.zeros((count, count))
        for changes, gram, inverse in sides:
            products += changes.reshape(count, -1) @ (gram @ changes @ inverse).reshape(count, -1).T
        return products / (2 * at.shape[2])

    def move(self, at: Floats, tangent: Floats) -> Floats:
        """Both factors, straight on."""
        return at + tangent


@dataclass(frozen=True)
class _Frame:
    """The metric at a point, and what the updates have in common with it."""

    stack: Stack
    left: Floats  # BᵀB
    right: Floats  # AAᵀ
    left_inverse: Floats
    right_inverse: Floats
    left_shared: Floats  # (Σ ranks, rank): BᵢᵀB
    right_shared: Floats  # (Σ ranks, rank): AᵢAᵀ

    @classmethod
    def at(cls, stack: Stack, point: Floats) -> _Frame:
        left_shared = stack.left_gram @ point[0]
        right_shared = stack.right_gram @ point[1]
        left, right = point[0].T @ left_shared, point[1].T @ right_shared
        left_inverse: Floats = np.linalg.inv(left)
        right_inverse: Floats = np.linalg.inv(right)
        return cls(stack, left, right, left_inverse, right_inverse, left_shared, right_shared)

    def nearest(self, columns: slice) -> Nearest:
        """How the best gauge of the update of these columns is found."""
        return Nearest(
            self.left_inverse,
            self.right_inverse,
            self.stack.left_gram[columns, columns],
            self.stack.right_gram[columns, columns],
            self.left_shared[columns],
            self.right_shared[columns],
        )

    def horizontal(self, at: Floats, tangent: Floats) -> Floats:
        """A change without its part (B V, −V A), which is a change of gauge.

        Q P V + V Q P = Q BᵀX − Y Aᵀ P, for the change (X, Y).
        """
        mixed = self.right @ self.left
        wanted = self.right @ (self.left_shared.T @ tangent[0])
        wanted -= (tangent[1].T @ self.right_shared) @ self.left
        turn = solve_sylvester(mixed, mixed, wanted)
        return tangent - np.stack([at[0] @ turn, -at[1] @ turn.T])


def invariant_mean(
    stack: Stack, start: Floats, rotations: Sequence[Floats], *, tolerance: float, steps: int
) -> Mean:
    """The mean, searched from that of balanced factors: its coefficients ``(2, Σ ranks, rank)``.

    Args:
        stack: the updates, none of them 0.
        start: ``(Σ ranks, rank)``: the coefficients of both factors of the start.
        rotations: of each update to it, ``(its rank, rank)``.
        tolerance: the relative length of a pull that is none.
        steps: how many at most.
    """
    gauges = [Gauge(rotation, rotation.T) for rotation in rotations]
    point = np.stack([start, start])
    return frechet_mean(Invariant(stack, gauges), point, tolerance=tolerance, steps=steps)
