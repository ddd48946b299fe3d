"""A sparse map from the units of one model to those of another: how few of them say what one does.

For each target y the LASSO [1] minimises |y - X w|² / 2n + λ Σ|w|, here by FISTA [2], restarted
where it would turn back [3], for many targets at once. From each λ to the next smaller one only
units are looked at that may come in, by the strong rule [4], and then whether any other should
have.

[1] R. Tibshirani. Regression shrinkage and selection via the lasso. JRSS B 58, 1996.
[2] A. Beck, M. Teboulle. A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems. SIAM Journal on Imaging Sciences 2, 2009. https://doi.org/10.1137/080716542
[3] B. O'Donoghue, E. Candès. Adaptive restart for accelerated gradient schemes. Foundations of
    Computational Mathematics 15, 2015. https://arxiv.org/abs/1204.3982
[4] R. Tibshirani et al. Strong rules for discarding predictors in lasso-type problems. JRSS B 74,
    2012. https://arxiv.org/abs/1011.2234
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evomerge.inspection.correlation import standardised

Floats = NDArray[np.floating]

# Of standardised units λ is a correlation: with what is left to say.
PENALTIES = (0.5, 0.2, 0.1, 0.05, 0.02)
# Of more units to be mapped to, so many are taken, evenly spaced.
MOST_TARGETS = 256

# How far a solution may be from what defines it, in units of λ; and steps, for sources that are
# all but the same.
TOLERANCE, MOST_STEPS = 5e-4, 5000
# Targets at once: with more, more units are looked at for each.
TARGETS = 32
POWER_STEPS, MARGIN = 50, 1.05


class Sparse(NamedTuple):
    """What a sparse map needs, and what it is worth.

    Attributes:
        penalty: λ.
        used: units of the one model for each of the other, a mean.
        explained: the share of variance that the map says, on tokens that it was not made from:
            1 at best, below 0 where it says less than the mean.
    """

    penalty: float
    used: float
    explained: float


def sparse_maps(first: Floats, second: Floats, seen: int) -> tuple[Sparse, ...]:
    """Maps from what the units of one model do to what those of another do, one for each λ.

    Args:
        first: ``(tokens, units)``.
        second: of the same tokens.
        seen: from so many tokens, the first, maps are made; the rest is to judge them.
    """
    some = np.linspace(0, second.shape[1] - 1, min(MOST_TARGETS, second.shape[1])).round()
    second = second[:, some.astype(np.int64)]
    inputs, targets = (standardised(each, each[:seen]) for each in (first, second))
    gram = inputs[:seen].T @ inputs[:seen] / seen
    products = inputs[:seen].T @ targets[:seen] / seen
    known, wanted = inputs[seen:], targets[seen:]
    whole = float(wanted.var(0).sum(dtype=np.float64)) or 1.0
    found = []
    for penalty, map_ in zip(PENALTIES, lasso_path(gram, products, PENALTIES), strict=True):
        missed = float(np.square(wanted - known @ map_).mean(0).sum(dtype=np.float64))
        found.append(Sparse(penalty, float((map_ != 0).sum(0).mean()), 1 - missed / whole))
    return tuple(found)


def lasso_path(gram: Floats, products: Floats, penalties: Sequence[float]) -> Iterator[Floats]:
    """The maps ``(sources, targets)``, one for each λ.

    Args:
        gram: ``(sources, sources)``, XᵀX / n.
        products: ``(sources, targets)``, Xᵀy / n.
        penalties: λ, from the largest to the smallest.
    """
    slope = _largest_eigenvalue(gram)
    maps = np.zeros((len(penalties), *products.shape), products.dtype)
    for start in range(0, products.shape[1], TARGETS):
        part = slice(start, start + TARGETS)
        found = np.zeros_like(products[:, part])
        largest = max(float(np.abs(products[:, part]).max()), penalties[0])
        for at, (before, penalty) in enumerate(pairwise((largest, *penalties))):
            found = _next(gram, products[:, part], (before, penalty), found, slope)
            maps[at, :, part] = found
    yield from maps


def _next(
    gram: Floats, products: Floats, penalties: tuple[float, float], map_: Floats, slope: float
) -> Floats:
    """The solution at the second of two penalties, from that at the first."""
    before, penalty = penalties
    rest = np.abs(products - gram @ map_)
    looked_at = ((rest >= 2 * penalty - before) | (map_ != 0)).any(1)
    while True:
        at = np.flatnonzero(looked_at)
        found = np.zeros_like(map_)
        found[at] = _fista(gram[np.ix_(at, at)], products[at], penalty, map_[at], slope)
        rest = np.abs(products - gram[:, at] @ found[at])
        missed = (rest > penalty + TOLERANCE).any(1) & ~looked_at
        if not missed.any():
            return found
        map_, looked_at = found, looked_at | missed


def _fista(gram: Floats, products: Floats, penalty: float, map_: Floats, slope: float) -> Floats:
    ahead, momentum = map_, 1.0
    for _ in range(MOST_STEPS):
        found = _shrunk(ahead - (gram @ ahead - products) / slope, penalty / slope)
        step = found - map_
        if slope * float(np.abs(found - ahead).max(initial=0.0)) < TOLERANCE:
            return found
        if float(np.vdot(ahead - found, step)) > 0:
            momentum = 1.0
        following = (1 + sqrt(1 + 4 * momentum**2)) / 2
        ahead = found + step * ((momentum - 1) / following)
        map_, momentum = found, following
    return map_


def _shrunk(numbers: Floats, by: float) -> Floats:
    """Each number as much nearer to zero."""
    return np.sign(numbers) * np.maximum(np.abs(numbers) - by, 0)


def _largest_eigenvalue(gram: Floats) -> float:
    """An upper bound of it, by the power method and a margin."""
    direction = gram[:, np.square(gram).sum(0).argmax()]
    for _ in range(POWER_STEPS):
        direction = gram @ (direction / (float(np.linalg.norm(direction)) or 1.0))
    # Of units that are all constant it is 0.
    return MARGIN * float(np.linalg.norm(direction)) or 1.0
