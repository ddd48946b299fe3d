"""Units as mixtures of others, in place of one unit for another: no symmetry, but a mean of models.

[1] S. P. Singh, M. Jaggi. Model fusion via optimal transport. NeurIPS 2020.
    https://arxiv.org/abs/1910.05653
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evomerge.alignment.actions import Action, Floats, Indices
from evomerge.alignment.layout import Span
from evomerge.errors import AlignmentError


@dataclass(frozen=True, eq=False)
class Transport:
    """What comes to each place, of every unit.

    Attributes:
        writes: ``(places, units)``: by which what is written is multiplied.
        reads: ``(places, units)``: by which what is read is multiplied.
        follows: ``(places, units)``: the same of what only changes places with the units.
    """

    writes: Floats
    reads: Floats
    follows: Floats

    @classmethod
    def of(cls, order: Indices, scales: Floats, gain: float) -> Transport:
        """Units that change places, each with a factor; -1 for a place to which none comes."""
        places = np.flatnonzero(order >= 0)
        matrix = np.zeros((len(order), len(places)))
        matrix[places, order[places]] = 1.0
        return cls(matrix * scales[:, None], matrix / scales[:, None], matrix * gain)

    def at(self, span: Span) -> Action:
        """What is done where the units stand in a role."""
        matrices = {"writes": self.writes, "reads": self.reads}
        matrix = matrices.get(span.place.role, self.follows)
        return Action(np.zeros(1, np.int64), matrix[None], matrix.shape[1])

    def after(self, first: Transport) -> Transport:
        """The mixture of a mixture."""
        return Transport(
            self.writes @ first.writes, self.reads @ first.reads, self.follows @ first.follows
        )

    def inverse(self) -> Transport:
        """There is none.

        Raises:
            AlignmentError: always.
        """
        raise AlignmentError("soft: a transport mixes units, which cannot be undone")

    def tidied(self) -> Transport:
        """The same."""
        return self

    def moved(self) -> int:
        """In how many places stands less than half of the unit that stood there."""
        places, units = self.follows.shape
        kept = np.zeros(places)
        both = min(places, units)
        kept[:both] = np.diagonal(self.follows)
        return int((kept <= 0.5 * abs(self.follows).sum(1)).sum())

    @property
    def is_exact(self) -> bool:
        """Numbers are mixed."""
        return False
