"""How alike units of two models are in what they do: correlations over one text.

A unit is a number for each token: an entry of the residual stream, a neuron. A head is several
numbers, of which any invertible mix is the same head; so heads are compared as spaces, by their
canonical correlations [1].

[1] H. Hotelling. Relations between two sets of variates. Biometrika 28, 1936.
    https://doi.org/10.1093/biomet/28.3-4.321
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# Directions of a head that are smaller than the largest by this factor are rounding.
FLAT = 1e-5


def correlations(first: Floats, second: Floats, *, signed: bool) -> Floats:
    """``(units of the first, units of the second)``: how alike they are, at most 1.

    Args:
        first: ``(tokens, units)``.
        second: of the same tokens.
        signed: whether a unit and its negative are different. Where models compute the same with a
            unit negated, the sign of a correlation is chance, and its absolute value counts.
    """
    found: Floats = standardised(first).T @ standardised(second) / len(first)
    return found if signed else np.abs(found)


def standardised(activations: Floats, by: Floats | None = None) -> Floats:
    """``(tokens, units)`` of mean 0 and variance 1; units that are constant are 0.

    Args:
        activations: ``(tokens, units)``.
        by: other tokens of the same units, whose mean and variance count; by default its own.
    """
    by = activations if by is None else by
    # In float64 what is constant deviates by exactly 0.
    means, deviations = (f(0, dtype=np.float64).astype(by.dtype) for f in (by.mean, by.std))
    varied = deviations > 0
    found: Floats = np.where(varied, activations - means, 0) / np.where(varied, deviations, 1)
    return found


def head_likeness(first: Floats, second: Floats, heads: tuple[int, int]) -> Floats:
    """``(heads of the first, heads of the second)``: how alike they are, in [0, 1].

    The square is the mean squared canonical correlation, less what chance gives: of two random
    spaces of d and e numbers over n tokens, min(d, e) / n.

    Args:
        first: ``(tokens, heads * width)``.
        second: of the same tokens.
        heads: how many the models have.
    """
    ours, theirs = (
        [_basis(head) for head in np.split(each, count, axis=1)]
        for each, count in zip((first, second), heads, strict=True)
    )
    return np.array([[_alike(one, other) for other in theirs] for one in ours])


def _basis(head: Floats) -> Floats:
    """An orthonormal basis of what a head does: ``(tokens, rank)``."""
    directions, sizes, _ = np.linalg.svd(head - head.mean(0), full_matrices=False)
    return directions[:, sizes > FLAT * sizes[0]] if sizes[0] else directions[:, :0]


def _alike(one: Floats, other: Floats) -> float:
    ranks = one.shape[1], other.shape[1]
    if not min(ranks):
        return 0.0
    shared = float(np.square(one.T @ other, dtype=np.float64).sum()) / max(ranks)
    chance = min(ranks) / len(one)
    return float(np.sqrt(np.clip((shared - chance) / (1 - chance), 0, 1)))
