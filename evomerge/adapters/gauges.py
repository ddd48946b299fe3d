"""The gauge in which an update is nearest to a point, in a metric that belongs to the point.

Of all factors (Bᵢ G, G⁻¹ Aᵢ) of one update, those with the least
tr(P⁻¹ XᵀX) + tr(Q⁻¹ YYᵀ), X = Bᵢ G − B, Y = G⁻¹ Aᵢ − A. From a gauge on one goes to G K and K⁻¹ G⁻¹
with K = exp(E). To second order in E, and up to a constant, half of it is
tr((U − V) E) + ½ tr(P⁻¹ EᵀM E) + ½ tr(Q⁻¹ E N Eᵀ) + ½ tr((U + V) E²)
with M = GᵀBᵢᵀBᵢG, N = G⁻¹AᵢAᵢᵀG⁻ᵀ, U = P⁻¹ Xᵀ Bᵢ G and V = G⁻¹Aᵢ Yᵀ Q⁻¹. Without the last term a
turn of an update that has little in common with the point would seem dear, and steps be tiny.
Newton's equations are solved by conjugate gradients, as far as the curvature is positive [1].

[1] T. Steihaug. The conjugate gradient method and trust regions in large scale optimization. SIAM
    J. Numerical Analysis 20, 1983. https://doi.org/10.1137/0720042
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evomerge.adapters.updates import Floats

_NEWTON_STEPS = 30
_HALVINGS = 20
_TOLERANCE = 1e-13
# A change of gauge is at most this large: K stays well away from where it cannot be inverted.
_LARGEST = 0.5
# How exact Newton's equations are solved at least, relative; and in how many steps at most.
_FORCING = 0.1
_CG_STEPS = 250


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
        """G K and K⁻¹ G⁻¹, K being exp(change) to second order (Cayley's transform)."""
        half = 0.5 * change
        one = np.eye(len(change))
        turn = np.linalg.solve(one - half, one + half)
        return Gauge(self.left @ turn, np.linalg.solve(turn, self.right))


@dataclass(frozen=True)
class Nearest:
    """The search for the gauge of one update.

    Attributes:
        left_inverse: ``(rank, rank)``: P⁻¹ = (BᵀB)⁻¹, of the point.
        right_inverse: Q⁻¹ = (AAᵀ)⁻¹.
        left_gram: ``(its rank, its rank)``: BᵢᵀBᵢ.
        right_gram: AᵢAᵢᵀ.
        left_shared: ``(its rank, rank)``: BᵢᵀB.
        right_shared: AᵢAᵀ.
    """

    left_inverse: Floats
    right_inverse: Floats
    left_gram: Floats
    right_gram: Floats
    left_shared: Floats
    right_shared: Floats

    def found_from(self, gauge: Gauge) -> Gauge:
        """The gauge of least distance, from another one on."""
        distance = self._distance(gauge)
        for _ in range(_NEWTON_STEPS):
            change = self._change(gauge)
            if change is None:
                break
            for _ in range(_HALVINGS):
                moved = gauge.moved(change)
                reached = self._distance(moved)
                if reached <= distance:
                    break
                change = 0.5 * change
            else:
                break
            gauge, distance = moved, reached
        return gauge

    def _distance(self, gauge: Gauge) -> float:
        """Twice what is minimised, but for what no gauge changes."""
        m, n, x, y = self._products(gauge)
        left = np.sum(self.left_inverse * (m - 2 * x))
        return float(left + np.sum(self.right_inverse * (n - 2 * y)))

    def _change(self, gauge: Gauge) -> Floats | None:
        """E of one Newton step; None where there is no slope."""
        m, n, x, y = self._products(gauge)
        one, other = self.left_inverse @ (m - x.T), (n - y) @ self.right_inverse
        slope = (one - other).T
        size = float(np.linalg.norm(one) + np.linalg.norm(other))
        steepness = float(np.linalg.norm(slope))
        if steepness <= _TOLERANCE * size:
            return None
        both = 0.5 * (one + other).T

        def curved(e: Floats) -> Floats:
            found: Floats = m @ e @ self.left_inverse + self.right_inverse @ e @ n
            return found + both @ e.T + e.T @ both

        # The diagonal of the first two terms.
        scale = np.outer(m.diagonal(), self.left_inverse.diagonal())
        scale += np.outer(self.right_inverse.diagonal(), n.diagonal())
        forcing = min(_FORCING, steepness / size)
        change = _conjugate_gradients(curved, -slope, scale, forcing * steepness)
        length = float(np.linalg.norm(change, 2))
        return change * min(1.0, _LARGEST / length)

    def _products(self, gauge: Gauge) -> tuple[Floats, Floats, Floats, Floats]:
        """M, N, (Bᵢ G)ᵀB and G⁻¹Aᵢ Aᵀ: each ``(rank, rank)``."""
        return (
            gauge.left.T @ self.left_gram @ gauge.left,
            gauge.right @ self.right_gram @ gauge.right.T,
            gauge.left.T @ self.left_shared,
            gauge.right @ self.right_shared,
        )


def _conjugate_gradients(
    curved: Callable[[Floats], Floats], wanted: Floats, scale: Floats, enough: float
) -> Floats:
    """E with ``curved(E)`` near ``wanted``, or as far as the curvature is positive [1]."""
    found = np.zeros_like(wanted)
    left, scaled = wanted, wanted / scale
    direction, product = scaled, float(np.sum(wanted * scaled))
    for step in range(_CG_STEPS):
        bent = curved(direction)
        curvature = float(np.sum(direction * bent))
        if curvature <= 0:
            return found if step else direction
        share = product / curvature
        found = found + share * direction
        left = left - share * bent
        if float(np.linalg.norm(left)) <= enough:
            break
        scaled = left / scale
        before, product = product, float(np.sum(left * scaled))
        direction = scaled + product / before * direction
    return found
