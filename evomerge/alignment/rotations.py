"""Rotations of the residual stream, in place of permutations.

A norm that subtracts no mean does not see how the stream is turned, but its gains do. So they are
folded into what reads the stream behind the norm; then everything turns; and then the readers are
divided by the gains that the norm is to have: by the anchor's, so that the two models can be
averaged. A reader W behind gains g becomes W diag(g) Rᵀ diag(1 / g'), what writes to the stream
R W, and the gains g'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evomerge.alignment.actions import Action, Floats, Indices
from evomerge.alignment.layout import Span

# What is left of rounding where a rotation is undone.
NEAR = 1e-9


class Gains(NamedTuple):
    """The gains of a norm, ``(units,)``, before a rotation and after it.

    Attributes:
        before: not stored less ``base``.
        after: not 0.
        base: what is stored of a gain is the gain less this.
    """

    before: Floats
    after: Floats
    base: float = 0.0


@dataclass(frozen=True, eq=False)
class Rotation:
    """A stream that is turned, or reflected, while the gains of its norms give way to others.

    Attributes:
        matrix: ``(units, units)``, orthogonal: what is written is multiplied by it.
        gains: by the name of the norm's tensor; norms that are not named have gains of 1, and keep
            them.
    """

    matrix: Floats
    gains: Mapping[str, Gains]

    def at(self, span: Span) -> Action:
        """What is done where the stream stands in a role."""
        whole = np.zeros(1, np.int64)
        width = len(self.matrix)
        if span.place.role == "writes":
            return Action(whole, _unless_one(self.matrix), width)
        gains = self.gains.get(span.norm or "")
        if gains is None:
            turned = self.matrix if span.place.role == "reads" else np.eye(width)
            return Action(whole, _unless_one(turned), width)
        if span.place.role == "reads":
            factors = self.matrix * gains.before / gains.after[:, None]
            return Action(whole, _unless_one(factors), width)
        return Action(whole, None, width, gains.after - gains.base)

    def after(self, first: Rotation) -> Rotation:
        """The element that does ``first``, and then this."""
        one = np.ones(len(self.matrix))
        gains = {}
        for name in {**first.gains, **self.gains}:
            start = first.gains.get(name, Gains(one, one))
            end = self.gains.get(name, Gains(one, one))
            gains[name] = Gains(start.before, end.after, start.base or end.base)
        return Rotation(self.matrix @ first.matrix, gains)

    def after_units(self, order: Indices, signs: Floats) -> Rotation:
        """The element that lets units change places and signs, and then does this."""
        back = np.argsort(order)
        matrix = np.zeros_like(self.matrix)
        matrix[:, order] = self.matrix * signs
        gains = {name: Gains(g.before[back], g.after, g.base) for name, g in self.gains.items()}
        return Rotation(matrix, gains)

    def inverse(self) -> Rotation:
        """The element that undoes this one."""
        gains = {name: Gains(g.after, g.before, g.base) for name, g in self.gains.items()}
        return Rotation(self.matrix.T, gains)

    def tidied(self) -> Rotation:
        """The same, with a matrix of 1 where it is all but 1."""
        one = np.eye(len(self.matrix))
        near = abs(self.matrix - one).max() < NEAR
        return Rotation(one if near else self.matrix, self.gains)

    def moved(self) -> int:
        """How many units are no longer what they were."""
        return int((self.matrix != np.eye(len(self.matrix))).any(1).sum())

    @property
    def is_exact(self) -> bool:
        """Whether no number changes."""
        same = all(np.array_equal(gains.before, gains.after) for gains in self.gains.values())
        return same and not self.moved()


def _unless_one(matrix: Floats) -> Floats | None:
    return None if np.array_equal(matrix, np.eye(len(matrix))) else matrix[None]
