"""A normal form: the same for all models that are one model moved along its symmetries.

Units are ordered by keys that no symmetry changes: of neurons and of the residual stream the norms
of what writes them times those of what reads them, in a balanced model; of heads the size of the
products that do not depend on gauges. Then signs are chosen, and phases, so that sums over what
units write are positive. Nothing is compared with another model, and nothing is solved.

So copies are found to be copies, however they were moved. For models that were trained apart it is
no aligner: what stands at the same place has but a size of the same rank.
"""

from __future__ import annotations

import numpy as np

from evomerge.alignment.attention import Attention, Indices
from evomerge.alignment.balancing import balanced
from evomerge.alignment.elements import Element, Heads, Move, Units, compose
from evomerge.alignment.layout import HeadGroup, Layout, UnitGroup
from evomerge.alignment.likeness import likeness
from evomerge.alignment.matching import Floats, Read, Side, attention_of
from evomerge.alignment.rotary import Complex, as_complex, in_planes

STREAM = "residual"


def canonical(layout: Layout, read: Read) -> Element:
    """The element that brings a model to its normal form.

    Two units whose keys differ by no more than rounding may come in either order, and models that
    were rounded after a move have forms that differ as much.

    Args:
        layout: of the model; what it lets move has a normal form, the rest stays.
        read: reads the tensors.
    """
    free = balanced(layout, read)
    side = Side(layout, read, free)
    element = {name: _ordered(name, group, side) for name, group in layout.groups.items()}
    # The stream comes first, as the signs of all others depend on its own.
    for name, group in layout.groups.items():
        moved = Side(layout, read, compose(element, free))
        element |= compose({name: _signed(name, group, moved)}, {name: element[name]})
    return compose(element, free)


def _ordered(name: str, group: UnitGroup | HeadGroup, side: Side) -> Move:
    """The order of the keys, the largest first."""
    if isinstance(group, UnitGroup):
        return Units(_falling(_sizes(name, group, side)), np.ones(group.size))
    order = np.arange(group.heads)
    if "heads" in group.moving:
        attention = attention_of(group, side.layout.of(name), side)
        keys = likeness(attention, attention).diagonal().reshape(group.groups, -1)
        groups = _falling(keys.sum(1))
        inner = np.stack([_falling(each) for each in keys[groups]])
        order = (groups[:, None] * group.per_group + inner).reshape(-1)
    one = np.tile(np.eye(group.width), (group.groups, 1, 1))
    return Heads(order, one, one)


def _falling(keys: Floats) -> Indices:
    """``(n,)``: the indices of the keys, the largest first."""
    order: Indices = np.argsort(-keys, kind="stable")
    return order


def _sizes(name: str, group: UnitGroup, side: Side) -> Floats:
    """``(units,)``: the product of the norms of what units have in each role."""
    squares: dict[str, Floats] = {}
    for tensor, axis, span in side.layout.of(name):
        if span.place.role != "carried":
            into = squares.setdefault(span.place.role, np.zeros(group.size))
            for piece in side.pieces(tensor, axis, span):
                into += np.square(piece, dtype=np.float64).sum(1)
    sizes: Floats = np.sqrt(np.prod([*squares.values()], axis=0))
    return sizes


def _signed(name: str, group: UnitGroup | HeadGroup, side: Side) -> Move:
    """The signs, and for planes the phases, at which what is written has a positive sum."""
    if isinstance(group, HeadGroup):
        return _turned(group, attention_of(group, side.layout.of(name), side))
    sums = np.zeros(group.size)
    for tensor, axis, span in side.layout.of(name):
        if span.place.role == "writes" and _is_settled(tensor, name, side.layout):
            rows = side.pieces(tensor, axis, span)
            sums += np.sum([piece.sum(1, dtype=np.float64) for piece in rows], axis=0)
    flips = (sums < 0) & (group.signed or group.scaled)
    return Units(np.arange(group.size), np.where(flips, -1.0, 1.0))


def _is_settled(tensor: str, name: str, layout: Layout) -> bool:
    """Whether the signs along the other axes of a tensor are known before those of this group."""
    groups = {span.group for axis in layout.tensors[tensor] for span in axis} - {name}
    return groups <= {STREAM}


def _turned(group: HeadGroup, one: Attention) -> Heads:
    """The gauges of one layer's heads, which are balanced and in their order."""
    keys = np.tile(np.eye(group.width), (group.groups, 1, 1))
    values = keys.copy()
    rest = slice(group.rotary, group.width)
    if "values" in group.moving:
        values = values * _signs(one.values)
    if "keys" in group.moving:
        sums = as_complex(one.keys, group.rotary).sum(-1)
        for at, turned in enumerate(sums):
            keys[at] = in_planes(_factors(turned, group.normed), group.width)
        if not group.normed:
            keys[:, rest, rest] *= _signs(one.keys[:, rest])
    return Heads(np.arange(group.heads), keys, values)


def _factors(sums: Complex, normed: bool) -> Complex:
    """``(planes,)``: numbers of size 1 that make sums positive; behind a norm, signs only."""
    if normed:
        return np.where(sums.real < 0, -1, 1) + 0j
    sizes = abs(sums)
    return np.where(sizes > 0, sums.conj() / np.where(sizes > 0, sizes, 1), 1)


def _signs(rows: Floats) -> Floats:
    """``(groups, width, 1)``: the sign of the sum of each row."""
    return np.where(rows.sum(-1, keepdims=True) < 0, -1.0, 1.0)
