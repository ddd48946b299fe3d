"""Elements of the groups: what is done to the units of a network, and how it is undone.

Along an axis x that is written, an element does x'ᵢ = Fᵢ x at place ``order[i]``; along one that is
read, the inverse transpose of Fᵢ stands in its place, so that what is read is what was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evomerge.alignment.actions import Action, Floats, Indices
from evomerge.alignment.layout import Group, HeadGroup, Layout, Span
from evomerge.alignment.rotations import Rotation
from evomerge.alignment.transports import Transport

# Factors this near to 1 are 1: what is left of rounding where an element is undone.
NEAR = 1e-9


@dataclass(frozen=True, eq=False)
class Units:
    """Units that change places, each with a factor.

    Where a model is made wider there are more places than units, and zeros stand in the rest.

    Attributes:
        order: ``(places,)``: which unit comes to each place; -1 for none.
        scales: ``(places,)``, not 0: by which it is multiplied there.
        gain: by which the gains of norms are multiplied: 1, unless the residual stream is wider.
    """

    order: Indices
    scales: Floats
    gain: float = 1.0

    def at(self, span: Span) -> Action:
        """What is done where the units stand in a role."""
        role = span.place.role
        if role == "follows" and self.gain != 1:
            return Action(self.order, np.full((len(self.order), 1, 1), self.gain))
        if role in {"follows", "carried"} or (self.scales == 1).all():
            return Action(self.order, None)
        scales = self.scales if role == "writes" else 1 / self.scales
        return Action(self.order, scales[:, None, None])

    def after(self, first: Units) -> Units:
        """The element that does ``first``, and then this."""
        order = np.where(self.order < 0, -1, first.order[self.order])
        scales = self.scales * np.where(order < 0, 1, first.scales[self.order])
        return Units(order, scales, self.gain * first.gain)

    def inverse(self) -> Units:
        """The element that undoes this one: places where nothing stands are gone."""
        back = np.argsort(self.order)[(self.order < 0).sum() :]
        return Units(back, 1 / self.scales[back], 1 / self.gain)

    def tidied(self) -> Units:
        """The same, with factors of 1 where they are all but 1."""
        scales = np.where(abs(self.scales - 1) < NEAR, 1.0, self.scales)
        return Units(self.order, scales, self.gain)

    def moved(self) -> int:
        """How many units stand elsewhere, or have another sign."""
        return int(((self.order != np.arange(len(self.order))) | (self.scales < 0)).sum())

    @property
    def is_exact(self) -> bool:
        """Whether numbers only change places and signs."""
        return bool((abs(self.scales) == 1).all()) and self.gain == 1


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads that change places, and the gauges inside them.

    Attributes:
        order: ``(query heads,)``: which one comes to each place; groups stay together.
        keys: ``(groups, width, width)``: by which keys are multiplied.
        values: ``(groups, width, width)``: by which values are multiplied.
    """

    order: Indices
    keys: Floats
    values: Floats

    @property
    def groups(self) -> Indices:
        """``(groups,)``: which group comes to each place."""
        each = len(self.order) // len(self.keys)
        return self.order[::each] // each

    def at(self, span: Span) -> Action:
        """What is done where the heads stand in a role."""
        place, width = span.place, self.keys.shape[-1]
        factors = self.values if place.kind in {"values", "outputs"} else self.keys
        of_queries = place.kind in {"queries", "outputs"}
        order = self.order if of_queries else self.groups
        if place.role == "follows" or _is_one(factors):
            return Action(order, None, width)
        if place.role == "reads":
            factors = np.linalg.inv(factors).swapaxes(-1, -2)
        if of_queries:
            factors = factors.repeat(len(self.order) // len(self.keys), axis=0)
        return Action(order, factors, width)

    def after(self, first: Heads) -> Heads:
        """The element that does ``first``, and then this."""
        keys, values = first.keys[self.groups], first.values[self.groups]
        return Heads(first.order[self.order], self.keys @ keys, self.values @ values)

    def inverse(self) -> Heads:
        """The element that undoes this one."""
        back = np.argsort(self.groups)
        keys, values = np.linalg.inv(self.keys[back]), np.linalg.inv(self.values[back])
        return Heads(np.argsort(self.order), keys, values)

    def tidied(self) -> Heads:
        """The same, with gauges of 1 where they are all but 1."""
        return Heads(self.order, _tidied(self.keys), _tidied(self.values))

    def moved(self) -> int:
        """How many query heads stand elsewhere."""
        return int((self.order != np.arange(len(self.order))).sum())

    @property
    def is_exact(self) -> bool:
        """Whether numbers only change places."""
        return _is_one(self.keys) and _is_one(self.values)


Move = Units | Heads | Rotation | Transport
# By the name of the group; a group that is not there stays as it is.
Element = Mapping[str, Move]


def compose(second: Element, first: Element) -> dict[str, Move]:
    """The element that does ``first``, and then ``second``."""
    both = {name: _after(second[name], first[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **both}


def invert(element: Element) -> dict[str, Move]:
    """The element that undoes another."""
    return {name: move.inverse() for name, move in element.items()}


def nothing(group: Group) -> Move:
    """The element of a group that leaves everything as it is."""
    if not isinstance(group, HeadGroup):
        if group.turned:
            return Rotation(np.eye(group.size), {})
        return Units(np.arange(group.size), np.ones(group.size))
    one = np.tile(np.eye(group.width), (group.groups, 1, 1))
    return Heads(np.arange(group.heads), one, one)


def identity(layout: Layout) -> dict[str, Move]:
    """The element that leaves a model as it is."""
    return {name: nothing(group) for name, group in layout.groups.items()}


def is_exact(element: Element) -> bool:
    """Whether numbers only change places and signs, so that no rounding comes in."""
    return all(move.is_exact for move in element.values())


def is_symmetry(element: Element) -> bool:
    """Whether a model computes the same afterwards: not if its units are mixed."""
    return not any(isinstance(move, Transport) for move in element.values())


def _after(second: Move, first: Move) -> Move:
    match second, first:
        case Units(), Units():
            return second.after(first)
        case Heads(), Heads():
            return second.after(first)
        case Rotation(), Rotation():
            return second.after(first)
        case Rotation(), Units():
            return second.after_units(first.order, first.scales)
        case Units(), Rotation():
            back = second.inverse()
            return first.inverse().after_units(back.order, back.scales).inverse()
        case Units() | Transport(), Units() | Transport():
            return _as_transport(second).after(_as_transport(first))
    raise ValueError("elements of different models")


def _as_transport(move: Units | Transport) -> Transport:
    if isinstance(move, Transport):
        return move
    return Transport.of(move.order, move.scales, move.gain)


def _is_one(factors: Floats) -> bool:
    return bool((factors == np.eye(factors.shape[-1])).all())


def _tidied(factors: Floats) -> Floats:
    one = np.eye(factors.shape[-1])
    near = abs(factors - one).max((-1, -2), keepdims=True) < NEAR
    return np.where(near, one, factors)
