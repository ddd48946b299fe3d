"""Which unit of another model does what a unit does: one-to-one, and each unit's best [1].

[1] Y. Li, J. Yosinski, J. Clune, H. Lipson, J. Hopcroft. Convergent learning: do different neural
    networks learn the same representations? ICLR 2016. https://arxiv.org/abs/1511.07543
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.assignment import best_assignment

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]

# A unit whose best correlation is lower than this has no partner.
RARE = 0.3


class Sides(NamedTuple):
    """Something of the units of each model.

    Attributes:
        first: of those of the first model.
        second: of those of the second.
    """

    first: Indices
    second: Indices


@dataclass(frozen=True)
class Partners:
    """How the units of two models go together.

    Attributes:
        pairs: the one-to-one matching whose correlations sum to the most: as many units of each
            model as the smaller one has, those of the first in ascending order.
        one_to_one: the mean correlation of these pairs.
        first_best: the mean, over the units of the first model, of the best correlation with any
            unit of the second: several units may have one partner.
        second_best: the same of the units of the second.
        rare: the units without a partner.
    """

    pairs: Sides
    one_to_one: float
    first_best: float
    second_best: float
    rare: Sides

    @property
    def best(self) -> float:
        """The mean of the best correlations of both models' units."""
        return (self.first_best + self.second_best) / 2

    @property
    def gap(self) -> float:
        """What is lost where no two units may have one partner: 0 or more in models of one size."""
        return self.best - self.one_to_one

    @property
    def in_place(self) -> int:
        """How many pairs are units of one index: nearly all in models that grew from one base."""
        return int((self.pairs.first == self.pairs.second).sum())


def partners(alike: Floats) -> Partners:
    """Matches units.

    Args:
        alike: ``(units of the first, units of the second)``: their correlations.
    """
    pairs = _matching(alike)
    best = alike.max(1), alike.max(0)
    return Partners(
        pairs,
        float(alike[pairs].mean()),
        float(best[0].mean()),
        float(best[1].mean()),
        Sides(np.flatnonzero(best[0] < RARE), np.flatnonzero(best[1] < RARE)),
    )


def _matching(alike: Floats) -> Sides:
    """Units that have no counterpart, in models of two sizes, are given one that gains nothing."""
    rows, columns = alike.shape
    size = max(rows, columns)
    square = np.zeros((size, size), alike.dtype)
    square[:rows, :columns] = alike
    chosen = best_assignment(square)[:rows]
    matched = np.flatnonzero(chosen < columns)
    return Sides(matched, chosen[matched])
