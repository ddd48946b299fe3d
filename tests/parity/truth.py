"""The methods' formulas in float64, one line after the other, with no thought for speed.

Written from METHODS of the papers and of mergekit, and from neither program. Arrays are
``(models, ...)``; what a formula leaves open, because elements tie, is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

Array = np.ndarray


def linear(models: Array, weight: Sequence[float]) -> Array:
    return np.tensordot(weight, models, 1) / sum(weight)


def passthrough(models: Array, scale: float) -> Array:
    return scale * models[0]


def slerp(models: Array, t: float) -> Array:
    """From the first to the second; on the straight line if they are nearly parallel."""
    first, second = models
    cosine = _cosine(first, second)
    if abs(cosine) > 0.9995:
        return (1 - t) * first + t * second
    angle = np.arccos(cosine)
    return (np.sin((1 - t) * angle) * first + np.sin(t * angle) * second) / np.sin(angle)


def nuslerp(models: Array, weight: Sequence[float]) -> Array:
    angle, t = np.arccos(_cosine(*models)), weight[1] / sum(weight)
    ends = np.sin((1 - t) * angle) * models[0] + np.sin(t * angle) * models[1]
    return ends / np.sin(angle)


def multislerp(models: Array, weight: Sequence[float]) -> Array:
    shares = np.divide(weight, sum(weight))
    lengths = _lengths(models)
    mean = np.tensordot(shares / lengths, models, 1)
    return (shares @ lengths) * mean / np.linalg.norm(mean)


def karcher(models: Array) -> Array:
    """The mean direction, found by walking until nothing moves, with the mean length."""
    lengths = _lengths(models)
    directions = models.reshape(len(models), -1) / lengths[:, None]
    centre = directions.mean(0)
    for _ in range(10):
        centre = centre / np.linalg.norm(centre)
        cosines = directions @ centre
        reach = np.arccos(cosines) / np.sqrt(1 - cosines**2)
        tangent = (reach[:, None] * (directions - cosines[:, None] * centre)).mean(0)
        step = np.linalg.norm(tangent)
        if step < 1e-5:
            break
        centre = np.cos(step) * centre + np.sin(step) * tangent / step
    return (lengths.mean() * centre).reshape(models.shape[1:])


def model_stock(deltas: Array) -> Array:
    count = len(deltas)
    cosine = np.mean([_cosine(a, b) for a, b in combinations(deltas, 2)])
    t = count * cosine / (1 + (count - 1) * cosine)
    return t * deltas.mean(0)


def task_arithmetic(deltas: Array, weight: Sequence[float], scale: float) -> Array:
    return scale * np.tensordot(weight, deltas, 1)


def ties(deltas: Array, weight: Sequence[float], density: Sequence[float], scale: float) -> Array:
    trimmed = np.stack([_kept(d, 0, int(k * d.size)) for d, k in zip(deltas, density, strict=True)])
    return scale * _elected(trimmed, weight, normalize=True)


def breadcrumbs(
    deltas: Array, weight: Sequence[float], density: Sequence[float], gamma: float
) -> Array:
    return np.tensordot(weight, _middle(deltas, density, gamma), 1)


def breadcrumbs_ties(
    deltas: Array, weight: Sequence[float], density: Sequence[float], gamma: float
) -> Array:
    return _elected(_middle(deltas, density, gamma), weight, normalize=False)


def _middle(deltas: Array, density: Sequence[float], gamma: float) -> Array:
    pairs = zip(deltas, density, strict=True)
    return np.stack([_kept(d, int(gamma * d.size), int(k * d.size)) for d, k in pairs])


def _kept(delta: Array, dropped: int, kept: int) -> Array:
    """Without the largest few, and those smaller than the next; NaN where that is a draw."""
    sizes = np.abs(delta)
    order = np.sort(sizes, axis=None)[::-1]
    result = np.where(sizes >= order[dropped + kept - 1], delta, 0.0)
    if dropped:
        result[sizes > order[dropped]] = 0.0
    for rank in (dropped, dropped + kept):
        if 0 < rank < len(order) and order[rank] == order[rank - 1] > 0:
            result[sizes == order[rank]] = np.nan
    return result


def _elected(deltas: Array, weight: Sequence[float], *, normalize: bool) -> Array:
    """The votes for the sign of the sum, over their weights; NaN where rounding elects."""
    factors = np.reshape(weight, (-1, *[1] * (deltas.ndim - 1)))
    votes = factors * deltas
    total = votes.sum(0)
    sign = np.where(total >= 0, 1.0, -1.0)
    agree = np.sign(votes) == sign
    merged = (votes * agree).sum(0)
    if normalize:
        weights = (factors * agree).sum(0)
        merged = merged / np.where(weights == 0, 1.0, weights)
    drawn = (np.abs(total) < 1e-6 * np.abs(votes).sum(0)) | np.isnan(total)
    return np.where(drawn, np.nan, merged)


def _lengths(models: Array) -> Array:
    return np.linalg.norm(models.reshape(len(models), -1), axis=1)


def _cosine(first: Array, second: Array) -> float:
    return float(np.vdot(first, second) / np.linalg.norm(first) / np.linalg.norm(second))


Formula = Callable[..., Array]
ON_WEIGHTS: Mapping[str, Formula] = {
    f.__name__: f for f in (linear, passthrough, slerp, karcher, nuslerp, multislerp)
}
ON_TASK_VECTORS: Mapping[str, Formula] = {
    f.__name__: f for f in (task_arithmetic, ties, breadcrumbs, breadcrumbs_ties, model_stock)
}
