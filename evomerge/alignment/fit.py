"""How near two models stand, group by group, before one of them is moved and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from evomerge.alignment.elements import Element, Heads, Units
from evomerge.alignment.layout import GROUPS, Layout, Span, UnitGroup, kind_of
from evomerge.alignment.matching import Floats, Read
from evomerge.alignment.moving import Array, moved, rows_of
from evomerge.alignment.rotations import Rotation
from evomerge.alignment.transports import Transport

# Rows that are multiplied at a time: a few megabytes.
ROWS = 256

# What stands in the tensors of a group, by the kinds of places.
_GROUPS_OF = {
    "residual": ("residual",),
    "neurons": ("neurons",),
    "queries": ("heads", "keys"),
    "keys": ("heads", "keys"),
    "values": ("heads", "values"),
    "outputs": ("heads", "values"),
}


@dataclass(frozen=True)
class Fit:
    """What was gained in one kind of groups, over all layers.

    Attributes:
        group: one of `GROUPS`.
        before: cosine between the weights in which these groups stand, in [-1, 1].
        after: the same after the move of all groups.
        moved: units that stand elsewhere or have another sign; of keys and values, the heads whose
            gauge has changed.
        units: their number.
        error: how far the weights in which these groups stand are from the anchor's after the
            move, as a share of the norm of the anchor's.
    """

    group: str
    before: float
    after: float
    moved: int
    units: int
    error: float


def fits(layout: Layout, anchor: Read, source: Read, element: Element) -> list[Fit]:
    """What an element that brings a model to an anchor gains, for all that a layout lets move."""
    sums: dict[str, Floats] = {group: np.zeros(6) for group in GROUPS}
    for name, axes in layout.tensors.items():
        if any(axes):
            before = source(name)
            weights = anchor(name), before, moved(before, axes, element)
            for axis, span in ((a, span) for a, spans in enumerate(axes) for span in spans):
                products = _products(*(_part(each, axis, span) for each in weights))
                sums.update((g, sums[g] + products) for g in _GROUPS_OF[span.place.kind])
    return list(_told(layout, sums, element))


def _told(layout: Layout, sums: Mapping[str, Floats], element: Element) -> Iterator[Fit]:
    for group in GROUPS:
        counts = [
            count for name in layout.groups for count in _counts(layout, name, group, element)
        ]
        if counts:
            first, other, after, before_product, after_product, apart = sums[group].tolist()
            yield Fit(
                group,
                _cosine(before_product, first, other),
                _cosine(after_product, first, after),
                sum(moved for moved, _ in counts),
                sum(units for _, units in counts),
                sqrt(apart / first) if first else 0.0,
            )


def _counts(layout: Layout, name: str, group: str, element: Element) -> Iterator[tuple[int, int]]:
    """How many units of a group in the layout are moved, of how many."""
    move = element.get(name)
    described = layout.groups[name]
    if isinstance(move, Units | Rotation | Transport) and isinstance(described, UnitGroup):
        if kind_of(name) == group:
            yield move.moved(), described.size
    elif isinstance(move, Heads) and group in getattr(described, "moving", ()):
        gauges = {"keys": move.keys, "values": move.values}
        if group == "heads":
            yield move.moved(), len(move.order)
        else:
            one = np.eye(gauges[group].shape[-1])
            yield int((gauges[group] != one).any((-1, -2)).sum()), len(gauges[group])


def _part(tensor: Array, axis: int, span: Span) -> Array:
    return tensor if span.where is None else rows_of(tensor, axis, span)


def _products(first: Array, before: Array, after: Array) -> Floats:
    """Inner products in float64, of some rows at a time: an embedding may be large."""
    total: Floats = np.zeros(6)
    for start in range(0, len(first), ROWS):
        one, other, then = (
            each[start : start + ROWS].astype(np.float64).reshape(-1)
            for each in (first, before, after)
        )
        apart = then - one
        pairs = (
            (one, one),
            (other, other),
            (then, then),
            (one, other),
            (one, then),
            (apart, apart),
        )
        total = total + np.array([np.dot(a, b) for a, b in pairs])
    return total


def _cosine(product: float, first: float, other: float) -> float:
    return product / sqrt(first * other) if first * other > 0 else 0.0
