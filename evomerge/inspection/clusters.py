"""Units of two models that match many to many: what one model spreads over several units otherwise.

They are the connected components of a graph between the units of the one and of the other, which
joins what correlates. In trained models much correlates a little, so that one threshold would join
half of a layer; so the threshold rises until no component is large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evomerge.inspection.partners import Sides

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]

# Of four independent units that are mixed in equal parts, each correlates 1/2 with the mix.
THRESHOLDS = tuple(float(each) for each in np.arange(50, 100, 5) / 100)
# A component is large that has more units of either model than this, and than a share of all.
SMALL, SHARE = 4, 0.1


@dataclass(frozen=True)
class Clusters:
    """What was found.

    Attributes:
        threshold: correlations from here on join units.
        single: how many units match one unit, and that one no other.
        many: the clusters with two units or more of each model, the largest first.
    """

    threshold: float
    single: int
    many: tuple[Sides, ...]


def clusters(alike: Floats) -> Clusters:
    """Finds clusters.

    Args:
        alike: ``(units of the first, units of the second)``: their correlations.
    """
    for threshold in THRESHOLDS:
        found = _components(alike >= threshold)
        if all(
            len(units) <= max(SMALL, SHARE * size)
            for cluster in found
            for units, size in zip(cluster, alike.shape, strict=True)
        ):
            break
    many = [each for each in found if min(map(len, each)) > 1]
    many.sort(key=lambda each: (-len(each.first) - len(each.second), each.first[0]))
    single = sum(len(each.first) == len(each.second) == 1 for each in found)
    return Clusters(threshold, single, tuple(many))


def _components(joined: NDArray[np.bool_]) -> list[Sides]:
    """The components with units of both models: each unit takes the least name that it reaches."""
    rows, columns = np.nonzero(joined)
    names = np.arange(len(joined))
    across = np.full(joined.shape[1], len(joined))
    while True:
        before = names.copy()
        np.minimum.at(across, columns, names[rows])
        np.minimum.at(names, rows, across[columns])
        if (names == before).all():
            break
    return [
        Sides(np.flatnonzero(names == name), np.flatnonzero(across == name))
        for name in np.unique(across[columns])
    ]
