"""Random low-rank updates, methods run on them, and their matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evomerge.adapters.base import Merged, Task, adapter_methods, shares
from evomerge.adapters.updates import Update

# Every method with settings under which the gauge must not matter.
INVARIANT = {
    "chordal": ("frechet", {"manifold": "chordal"}),
    "balanced": ("frechet", {"manifold": "balanced", "tolerance": 1e-10}),
    "invariant": ("frechet", {"manifold": "invariant", "tolerance": 1e-10}),
    "ties": ("knots", {"consensus": "ties", "density": 0.4}),
    "dare": ("knots", {"consensus": "dare", "density": 0.4}),
    "aligned": ("knots", {"consensus": "linear", "rank": "sum"}),
    "svd": ("svd", {}),
    "linear": ("linear", {}),
}


def dense(update: Update) -> np.ndarray:
    return update.left @ update.right.T


def near(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of two matrices, relative to the second."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def related(
    rng: np.random.Generator, count: int = 3, shape: tuple[int, int] = (30, 24), rank: int = 4
) -> list[Update]:
    """Updates that have much in common, as those of one recipe on two tasks have."""
    left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((shape[1], rank))
    return [
        Update(
            left + 0.6 * rng.standard_normal(left.shape),
            right + 0.6 * rng.standard_normal(right.shape),
        )
        for _ in range(count)
    ]


def regauged(update: Update, rng: np.random.Generator, condition: float = 10.0) -> Update:
    """The same update in the gauge of a random matrix of this condition."""
    rank = update.rank
    u, v = (np.linalg.qr(rng.standard_normal((rank, rank)))[0] for _ in range(2))
    gauge = (u * np.geomspace(1.0, condition, rank)) @ v
    return Update(update.left @ gauge, update.right @ np.linalg.inv(gauge).T)


def task(
    method: str,
    updates: Sequence[Update],
    weights: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    **values: float | str,
) -> Task:
    declared = adapter_methods[method].params
    given = {name: values.get(name, param.default) for name, param in declared.items()}
    weights = [1.0] * len(updates) if weights is None else weights
    labels = [f"adapter {i}" for i in range(len(updates))] if labels is None else labels
    return Task("matrix", updates, shares(weights, "matrix"), labels, given, seed=3)


def merged(method: str, updates: Sequence[Update], *more: object, **values: float | str) -> Merged:
    return adapter_methods[method].method.merge(task(method, updates, *more, **values))
