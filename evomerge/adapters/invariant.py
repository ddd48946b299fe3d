"""The mean under a metric that no change of gauge alters, on pairs of factors up to GL(r) [1][2].

At (B, A) a change (X, Y) has the squared length tr((BᵀB)⁻¹ XᵀX) + tr((AAᵀ)⁻¹ YYᵀ). An update is
brought to the gauge (Bᵢ G, G⁻¹ Aᵢ) in which its difference from the point is shortest. That is a
least-squares problem in G, solved by Gauss–Newton steps; each is a Sylvester equation, and where
they end, the difference is horizontal: no part of it is a mere change of gauge.

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
from evomerge.adapters.updates import Floats, Stack

# Gauss–Newton steps for one gauge at a time; it goes on from there at the next step of the mean.
_GAUGE_STEPS = 20
_HALVINGS = 12
_GAUGE_TOLERANCE = 1e-13
# What makes singular equations, of updates of less rank than the mean, solvable.
_RIDGE = 1e-12


@dataclass(frozen=True)
class Gauge:
    """Where one update stands: its factors are Bᵢ · left and right · Aᵢ, and left · right is 1.

    Attributes:
        left: ``(its rank, rank)``: G.
        right: ``(rank, its rank)``: G⁻¹.
    """

    left: Floats
    right: Floats

    def moved(self, change: Floats) -> Gauge:
        """G K and K⁻¹ G⁻¹, K being 1 + change + … (Cayley's transform)."""
        half = 0.5 * change
        one = np.eye(len(change))
        turn = np.linalg.solve(one - half, one + half)
        return Gauge(self.left @ turn, np.linalg.solve(turn, self.right))


@dataclass(frozen=True)
class Place:
    """A point, or a change of one: B = L · left and Aᵀ = R · right, and every update's gauge."""

    left: Floats
    right: Floats
    gauges: Sequence[Gauge]


@dataclass(frozen=True)
class Invariant:
    """The geometry, on coefficients of the columns of a stack."""

    stack: Stack

    def pull(self, at: Place) -> Place:
        """Σ wᵢ (Bᵢ Gᵢ − B, Gᵢ⁻¹ Aᵢ − A), each in its best gauge, without a mere change of gauge."""
        frame = _Frame.at(self.stack, at)
        gauges = [frame.settled(index, gauge) for index, gauge in enumerate(at.gauges)]
        weights = self.stack.column_weights[:, None]
        left = weights * np.concatenate([gauge.left for gauge in gauges])
        right = weights * np.concatenate([gauge.right.T for gauge in gauges])
        return frame.horizontal(at, Place(left - at.left, right - at.right, gauges))

    def length(self, at: Place, tangent: Place) -> float:
        """In the metric, where the point itself has the length 1."""
        frame = _Frame.at(self.stack, at)
        left = tangent.left.T @ self.stack.left_gram @ tangent.left
        right = tangent.right.T @ self.stack.right_gram @ tangent.right
        square = np.sum(frame.left_inverse * left) + np.sum(frame.right_inverse * right)
        return float(np.sqrt(max(0.0, square) / (2 * at.left.shape[1])))

    def move(self, at: Place, tangent: Place) -> Place:
        """Both factors, straight on."""
        return Place(at.left + tangent.left, at.right + tangent.right, tangent.gauges)


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
    def at(cls, stack: Stack, place: Place) -> _Frame:
        left_shared = stack.left_gram @ place.left
        right_shared = stack.right_gram @ place.right
        left, right = place.left.T @ left_shared, place.right.T @ right_shared
        left_inverse: Floats = np.linalg.inv(left)
        right_inverse: Floats = np.linalg.inv(right)
        return cls(stack, left, right, left_inverse, right_inverse, left_shared, right_shared)

    def horizontal(self, place: Place, tangent: Place) -> Place:
        """A change without its part (B V, −V A), which is a change of gauge.

        Q P V + V Q P = Q BᵀX − Y Aᵀ P, for the change (X, Y).
        """
        mixed = self.right @ self.left
        wanted = self.right @ (self.left_shared.T @ tangent.left)
        wanted -= (tangent.right.T @ self.right_shared) @ self.left
        turn = solve_sylvester(mixed, mixed, wanted)
        left, right = tangent.left - place.left @ turn, tangent.right + place.right @ turn.T
        return Place(left, right, tangent.gauges)

    def settled(self, index: int, gauge: Gauge) -> Gauge:
        """The gauge of an update in which it is nearest, reached from another one."""
        distance = self._distance(index, gauge)
        for _ in range(_GAUGE_STEPS):
            change = self._change(index, gauge)
            for _ in range(_HALVINGS):
                moved = gauge.moved(change)
                reached = self._distance(index, moved)
                if reached <= distance:
                    break
                change = 0.5 * change
            else:
                return gauge
            gauge, gained, distance = moved, distance - reached, reached
            if gained <= _GAUGE_TOLERANCE * len(change):
                break
        return gauge

    def _change(self, index: int, gauge: Gauge) -> Floats:
        """K − 1 of one Gauss–Newton step.

        (Q M) E + E (N P) = Q (X − M) + (N − Y) P, with P = BᵀB, Q = AAᵀ, and of the update in its
        gauge M = BᵢᵀBᵢ, N = AᵢAᵢᵀ, X = BᵢᵀB, Y = AAᵢᵀ.
        """
        m, n, x, y = self._products(index, gauge)
        ridge = _RIDGE * float(np.trace(self.right @ m) + np.trace(n @ self.left)) / len(m)
        one = ridge * np.eye(len(m))
        wanted = self.right @ (x - m) + (n - y) @ self.left
        change: Floats = solve_sylvester(self.right @ m + one, n @ self.left + one, wanted)
        return change

    def _distance(self, index: int, gauge: Gauge) -> float:
        """The squared length of the difference, but for what no gauge changes."""
        m, n, x, y = self._products(index, gauge)
        left = np.sum(self.left_inverse * (m - x - x.T))
        return float(left + np.sum(self.right_inverse * (n - y - y.T)))

    def _products(self, index: int, gauge: Gauge) -> tuple[Floats, Floats, Floats, Floats]:
        columns = self.stack.columns[index]
        own = self.stack.left_gram[columns, columns], self.stack.right_gram[columns, columns]
        m = gauge.left.T @ own[0] @ gauge.left
        n = gauge.right @ own[1] @ gauge.right.T
        x = gauge.left.T @ self.left_shared[columns]
        y = (gauge.right @ self.right_shared[columns]).T
        return m, n, x, y


def invariant_mean(
    stack: Stack, start: Floats, rotations: Sequence[Floats], *, tolerance: float, steps: int
) -> Mean[Place]:
    """The mean, searched from that of balanced factors.

    Args:
        stack: the updates, none of them 0.
        start: ``(Σ ranks, rank)``: the coefficients of both factors of the start.
        rotations: of each update to it, ``(its rank, rank)``.
        tolerance: the relative length of a pull that is none.
        steps: how many at most.
    """
    gauges = [Gauge(rotation, rotation.T) for rotation in rotations]
    place = Place(start, start, gauges)
    return frechet_mean(Invariant(stack), place, tolerance=tolerance, steps=steps)
