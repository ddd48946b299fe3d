"""The Pareto front: the candidates that no other beats in every objective.

Losses are to be minimised. One candidate dominates another if it is nowhere worse and somewhere
better. A candidate that violates a constraint is dominated by all that violate less, and by no
other [1]; one without losses (a row that is not finite) by all that have them.

[1] K. Deb et al. A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE Transactions
    on Evolutionary Computation, 2002. https://doi.org/10.1109/4235.996017
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Losses = npt.NDArray[np.float64]
Violations = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether ``one`` is nowhere worse than ``other``, and somewhere better: both ``(m,)``."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front(losses: npt.ArrayLike, violations: npt.ArrayLike | None = None) -> Indices:
    """The feasible rows of ``losses`` that no feasible row dominates.

    Args:
        losses: ``(n, m)``; a row with NaN or an infinity has failed, and is never on the front.
        violations: ``(n,)``, not negative; 0 is feasible. None: all are.

    Returns:
        Ascending indices. Rows that are equal are all there, or none is.
    """
    points, total = _arrays(losses, violations)
    able = np.flatnonzero((total == 0.0) & np.isfinite(points).all(axis=1))
    return able[domination_counts(points[able]) == 0]


def domination_counts(
    losses: npt.ArrayLike,
    violations: npt.ArrayLike | None = None,
    among: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Indices:
    """How many rows dominate each row: ``(n,)``; 0 for the best.

    Args:
        losses: ``(n, m)``.
        violations: ``(n,)``; None: all are feasible.
        among: losses ``(k, m)`` and violations ``(k,)`` of those that may dominate; by default the
            rows themselves.
    """
    points, total = _arrays(losses, violations)
    others, theirs = (points, total) if among is None else _arrays(*among)
    counts = np.zeros(len(points), dtype=np.int64)
    for row in range(len(points)):
        beats = theirs < total[row]
        if total[row] == 0.0:
            nowhere_worse = (others <= points[row]).all(axis=1)
            beats |= (theirs == 0.0) & nowhere_worse & (others < points[row]).any(axis=1)
        counts[row] = np.sum(beats)
    return counts


def layers(losses: npt.ArrayLike, violations: npt.ArrayLike | None = None) -> Indices:
    """``(n,)``: 0 for what nothing dominates, 1 for what only those of layer 0 dominate, ….

    Peels off one front after the other [1].
    """
    points, total = _arrays(losses, violations)
    found = np.full(len(points), -1, dtype=np.int64)
    layer = 0
    while (left := np.flatnonzero(found < 0)).size:
        found[left[domination_counts(points[left], total[left]) == 0]] = layer
        layer += 1
    return found


def hypervolume(points: npt.ArrayLike, reference: Sequence[float]) -> float:
    """The volume between ``points`` and ``reference`` that they dominate together.

    Args:
        points: losses, ``(n, m)`` with m >= 1. Those that do not lie below the reference in every
            objective add nothing.
        reference: ``(m,)``, a bound from above.
    """
    corner = np.asarray(reference, dtype=np.float64)
    inside = np.asarray(points, dtype=np.float64).reshape(-1, len(corner))
    inside = inside[(inside < corner).all(axis=1)]
    return _volume(np.unique(inside[front(inside)], axis=0), corner)


def _volume(points: Losses, corner: Losses) -> float:
    """Of points of one front, all different, sorted by their first objective."""
    if len(points) == 0:
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - points[0, 0])
    if len(corner) == 2:  # noqa: PLR2004  each point adds a rectangle: they form a staircase
        ceilings = np.concatenate([corner[1:], points[:-1, 1]])
        return float(np.sum((corner[0] - points[:, 0]) * (ceilings - points[:, 1])))
    # Slices between neighbours along the first objective: in each, the points before it count.
    edges = np.append(points[1:, 0], corner[0])
    volume = 0.0
    for count, (low, high) in enumerate(zip(points[:, 0], edges, strict=True), start=1):
        if high > low:
            below = points[:count, 1:]
            volume += (high - low) * _volume(np.unique(below[front(below)], axis=0), corner[1:])
    return float(volume)


def _arrays(losses: npt.ArrayLike, violations: npt.ArrayLike | None) -> tuple[Losses, Violations]:
    """Both as float64; what has failed lies infinitely high and violates infinitely much."""
    points = np.asarray(losses, dtype=np.float64)
    total = (
        np.zeros(len(points)) if violations is None else np.asarray(violations, dtype=np.float64)
    )
    failed = np.logical_not(np.isfinite(points).all(axis=1)).reshape(-1)
    return np.where(failed[:, None], np.inf, points), np.where(failed, np.inf, total)
