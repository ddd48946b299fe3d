"""The rotation, or reflection, that brings rows nearest to others: Procrustes' problem [1].

[1] P. H. Schönemann. A generalized solution of the orthogonal Procrustes problem. Psychometrika 31,
    1966. https://doi.org/10.1007/BF02289451
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evomerge.alignment.actions import Floats
from evomerge.alignment.rotations import Rotation

# Directions in which less of the largest inner product is left tell nothing.
RANK = 1e-10
# A stream is turned on only if it comes nearer by this share: rotations of one layer after the
# other, each a little further, would go on for long.
GAIN = 1e-6
# Numbers of a row that are multiplied at a time, in float64.
NUMBERS = 4096


def nearest_rotation(gram: Floats, now: Floats) -> Floats:
    """The orthogonal R with the greatest sum of R times ``gram``: U Vᵀ, if ``gram`` is U S Vᵀ.

    So it is that for which R · other is nearest to first, where ``gram`` is first · otherᵀ.
    Directions of which ``gram`` tells nothing go as nearly as they can to where ``now`` has them.

    Args:
        gram: ``(units, units)``, finite.
        now: of the same shape, orthogonal.
    """
    left, sizes, right = np.linalg.svd(gram)
    told = int((sizes > RANK * sizes[0]).sum())
    rotation: Floats = left[:, :told] @ right[:told]
    if told < len(gram):
        rest_left, rest_right = left[:, told:], right[told:]
        inner, _, outer = np.linalg.svd(rest_left.T @ now @ rest_right.T)
        rotation = rotation + rest_left @ (inner @ outer) @ rest_right
    return rotation


def best_rotation(pairs: Iterable[tuple[Floats, Floats]], now: Rotation) -> Rotation:
    """How the stream of one model stands nearest to another's.

    Args:
        pairs: of both, ``(units, numbers)`` of one tensor after the other.
        now: how the stream stands.

    Returns:
        ``now`` itself, if next to nothing is gained.
    """
    gram: Floats = np.zeros_like(now.matrix)
    for first, other in pairs:
        for start in range(0, first.shape[1], NUMBERS):
            one, two = (m[:, start : start + NUMBERS].astype(np.float64) for m in (first, other))
            gram += one @ two.T
    matrix = nearest_rotation(gram, now.matrix)
    near, before = float((gram * matrix).sum()), float((gram * now.matrix).sum())
    return Rotation(matrix, now.gains) if near - before > GAIN * abs(near) else now
