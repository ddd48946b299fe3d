"""A model in balance: what may have any factor has the one that makes both of its sides as large.

Only then is it meaningful how near two models are, as factors leave no distance as it was.
"""

from __future__ import annotations

import numpy as np

from evomerge.alignment.elements import Element, Move, Units
from evomerge.alignment.folding import folded
from evomerge.alignment.gauges import balancing
from evomerge.alignment.layout import HeadGroup, Layout, UnitGroup
from evomerge.alignment.matching import Floats, Read, Side, attention_of


def balanced(layout: Layout, read: Read) -> Element:
    """The element that brings a model into balance; nothing changes places.

    Where the residual stream may be rotated, gains are folded first.
    """
    turned = [n for n, g in layout.groups.items() if isinstance(g, UnitGroup) and g.turned]
    folds: dict[str, Move] = {name: folded(layout, read) for name in turned}
    side = Side(layout, read, folds)
    moves = dict(folds)
    for name, group in layout.groups.items():
        if isinstance(group, HeadGroup):
            moves[name] = balancing(attention_of(group, layout.of(name), side))
        elif group.scaled:
            moves[name] = _equal_sizes(name, group, side)
    return moves


def _equal_sizes(name: str, group: UnitGroup, side: Side) -> Units:
    """Multiplies each neuron so that what it writes is as large as what is read of it."""
    sizes = {"writes": np.zeros(group.size), "reads": np.zeros(group.size)}
    for tensor, axis, span in side.layout.of(name):
        if span.place.role in sizes:
            sizes[span.place.role] += _squares(side.rows(tensor, axis, span))
    written, read = sizes["writes"], sizes["reads"]
    both = (written > 0) & (read > 0)
    ratio = np.divide(read, written, out=np.ones(group.size), where=both)
    return Units(np.arange(group.size), np.where(both, ratio, 1.0) ** 0.25)


def _squares(rows: Floats) -> Floats:
    return (rows.astype(np.float64) ** 2).sum(1)
