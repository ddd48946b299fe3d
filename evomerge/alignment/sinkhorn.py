"""Sinkhorn: permutations relaxed to doubly stochastic matrices, and cooled until they are hard.

The inner product of two models' weights, plus the entropy of each group's matrix, times a
temperature, is raised group by group: while the others stay, the best matrix is that of Sinkhorn's
scaling. What is soft takes all of a group's doubts along into the next; from step to step it gets
colder (graduated assignment [1]; by gradients, in place of alternation, in [2]). An assignment
then rounds each matrix. Heads, whose likeness is no inner product, are matched as weight matching
does, and so are at the end all groups, until none gains.

[1] S. Gold, A. Rangarajan. A graduated assignment algorithm for graph matching. IEEE Transactions
    on Pattern Analysis and Machine Intelligence 18, 1996. https://doi.org/10.1109/34.491619
[2] F. A. Guerrero Peña et al. Re-basin via implicit Sinkhorn differentiation. CVPR 2023.
    https://arxiv.org/abs/2212.12042
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from evomerge.alignment.assignment import best_assignment
from evomerge.alignment.elements import Element, Move, Units, identity
from evomerge.alignment.layout import Layout, UnitGroup
from evomerge.alignment.matching import Read
from evomerge.alignment.optimal_transport import mixed
from evomerge.alignment.transports import Transport
from evomerge.alignment.weight_matching import (
    as_they_are,
    improved,
    in_balance,
    others_moved,
    visit,
)

# The first temperature, as a share of what a place gains at most: at 1 much is open.
HOT = 1.0


@dataclass(frozen=True)
class Cooling:
    """How matrices are cooled.

    Attributes:
        temperature: of the last sweep, above 0, as a share of what a place gains at most.
        sweeps: through all groups, from the hottest to the coldest; at least 1.
        soft: whether the last matrices are not rounded: then what is found is no symmetry.
    """

    temperature: float = 0.02
    sweeps: int = 8
    soft: bool = False

    @property
    def temperatures(self) -> Iterator[float]:
        """Of each sweep, each colder than the one before by the same factor."""
        first = max(HOT, self.temperature)
        for left in reversed(range(self.sweeps)):
            warmth = left / (self.sweeps - 1) if left else 0.0
            yield first**warmth * self.temperature ** (1 - warmth)


def sinkhorn(
    layout: Layout, anchor: Read, source: Read, cooling: Cooling, *, seed: int = 0
) -> Element:
    """The element that brings a model to an anchor.

    Args:
        layout: of both; what it lets move is moved.
        anchor: reads the tensors of the model that stays.
        source: reads those of the model to be moved.
        cooling: how soft matrices become hard.
        seed: of the order in which groups are visited.
    """
    sides = in_balance(layout, anchor, source)
    element = identity(layout)
    random = Random(seed)
    names, known = [*layout.groups], set[str]()
    for temperature in cooling.temperatures:
        for name in names:
            known.add(name)
            if isinstance(layout.groups[name], UnitGroup):
                both = sides[0], others_moved(name, element, sides)
                element[name] = mixed(name, both, known, temperature)
            else:
                element[name] = visit(name, element, sides, known)
        random.shuffle(names)
    if not cooling.soft:
        rounded = {name: _rounded(move) for name, move in element.items()}
        element = improved(sides, rounded, layout.groups, random)
    return as_they_are(element, sides)


def _rounded(move: Move) -> Move:
    """The units that come to places most of all, one to each."""
    if not isinstance(move, Transport):
        return move
    order = best_assignment(move.follows)
    written = move.writes[np.arange(len(order)), order]
    return Units(order, np.where(written < 0, -1.0, 1.0))
