"""The best move of one group, while all others stay: the steps of weight matching."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.assignment import best_assignment
from evomerge.alignment.attention import Attention
from evomerge.alignment.elements import Element, Heads, Move, Units
from evomerge.alignment.gauges import best_gauge
from evomerge.alignment.grams import Piece, grams, is_certain
from evomerge.alignment.layout import HeadGroup, Layout, Span, UnitGroup
from evomerge.alignment.likeness import likeness
from evomerge.alignment.moving import moved, rows_of
from evomerge.alignment.procrustes import best_rotation
from evomerge.alignment.rotations import Rotation
from evomerge.errors import AlignmentError

Floats = NDArray[np.floating]
# Gives the tensor of a name in float32 or float64; refuses one that is not `finite`.
Read = Callable[[str], Floats]

# A group is left alone unless it fits better by more than so many times the precision of its
# numbers: what is less is rounding, and could go back and forth for ever.
GAIN = 64.0
# Numbers of a unit that are held at a time where more than these stand along an axis that nothing
# moves, as in an embedding: some ten megabytes.
NUMBERS = 4096


@dataclass(frozen=True)
class Side:
    """One of the two models: its tensors, and what has been done to it."""

    layout: Layout
    read: Read
    done: Element

    def rows(self, name: str, axis: int, span: Span) -> Floats:
        """``(units, numbers)`` of one tensor for the units of a span."""
        tensor = moved(self.read(name), self.layout.tensors[name], self.done)
        rows: Floats = rows_of(tensor, axis, span)
        return rows

    def pieces(self, name: str, axis: int, span: Span) -> Iterator[Floats]:
        """The same, of some numbers at a time."""
        tensor, axes = self.read(name), self.layout.tensors[name]
        still = axes.index(()) if () in axes else axis
        cuts = [] if still == axis else [*range(NUMBERS, tensor.shape[still], NUMBERS)]
        for part in np.split(tensor, cuts, still):
            yield rows_of(moved(part, axes, self.done), axis, span)


def finite(tensor: Floats, where: str) -> Floats:
    """The same tensor.

    Raises:
        AlignmentError: it holds NaN or infinity.
    """
    if not np.isfinite(tensor).all():
        raise AlignmentError(f"{where}: holds NaN or infinity; mend the model")
    return tensor


def best_move(name: str, now: Move, sides: tuple[Side, Side], known: Collection[str]) -> Move:
    """How the units of a group stand best in the second model, for those of the first.

    Args:
        name: of the group.
        now: how they stand.
        sides: the model that stays, and the one that moves; in this group it is not yet moved.
        known: groups whose units stand where they belong. A tensor tells of this group only where
            its other axes are known.

    Returns:
        ``now`` itself, if nothing is gained.
    """
    group = sides[0].layout.groups[name]
    telling = _telling(name, sides[0].layout, known)
    if isinstance(now, Rotation):
        places = (where for where in telling if where[2].place.role != "follows")
        pairs = ((sides[0].rows(*where), sides[1].rows(*where)) for where in places)
        return best_rotation(pairs, now)
    if isinstance(group, HeadGroup) and isinstance(now, Heads):
        rows = [attention_of(group, telling, side) for side in sides]
        return _best_heads(rows[0], rows[1], now)
    if isinstance(group, UnitGroup) and isinstance(now, Units):
        return _best_units(group, telling, sides, now)
    raise ValueError(f"{name}: a move of another group")


def likeness_of(
    name: str, sides: tuple[Side, Side], known: Collection[str]
) -> tuple[Floats, Floats]:
    """How much units gain at each place, and the signs with which they do.

    Both are ``(units, units)``, a row for each unit of the model that stays. Args as of
    `best_move`.
    """
    group = sides[0].layout.groups[name]
    if not isinstance(group, UnitGroup):
        raise ValueError(f"{name}: is a group of heads")
    telling = _telling(name, sides[0].layout, known)
    plain, signed, _ = grams(_pieces(group, telling, sides), group.size)
    return abs(signed) + plain, np.where(signed < 0, -1.0, 1.0)


def _telling(name: str, layout: Layout, known: Collection[str]) -> list[tuple[str, int, Span]]:
    return [
        (tensor, axis, span)
        for tensor, axis, span in layout.of(name)
        if span.place.role != "carried" and _others(layout, tensor, name) <= {*known}
    ]


def _others(layout: Layout, tensor: str, group: str) -> set[str]:
    return {span.group for axis in layout.tensors[tensor] for span in axis} - {group}


def _best_units(
    group: UnitGroup,
    telling: list[tuple[str, int, Span]],
    sides: tuple[Side, Side],
    now: Units,
) -> Units:
    """Solves one assignment, over the sum of the inner products of all that tells of the units."""
    if is_certain(_pieces(group, telling, sides), now):
        return now
    plain, signed, epsilon = grams(_pieces(group, telling, sides), group.size)
    gains = abs(signed)
    gains += plain
    order = best_assignment(gains)
    rows = np.arange(group.size)
    before = plain[rows, now.order] + np.sign(now.scales) * signed[rows, now.order]
    found = gains[rows, order]
    if found.sum() - before.sum() <= GAIN * epsilon * abs(found).sum():
        return now
    return Units(order, np.where(signed[rows, order] < 0, -1.0, 1.0))


def _pieces(
    group: UnitGroup, telling: list[tuple[str, int, Span]], sides: tuple[Side, Side]
) -> Iterator[Piece]:
    """All that tells of the units."""
    for tensor, axis, span in telling:
        flips = (group.signed or group.scaled) and span.place.role != "follows"
        first, other = (side.pieces(tensor, axis, span) for side in sides)
        for pair in zip(first, other, strict=True):
            yield Piece(*pair, flips)


def attention_of(group: HeadGroup, telling: list[tuple[str, int, Span]], side: Side) -> Attention:
    """All matrices of an attention, in float64."""
    rows: dict[str, list[Floats]] = {}
    for tensor, axis, span in telling:
        if span.place.role != "follows":
            found = side.rows(tensor, axis, span).astype(np.float64)
            rows.setdefault(span.place.kind, []).append(found)
    return Attention.of(group, {kind: np.concatenate(each, 1) for kind, each in rows.items()})


def _best_heads(first: Attention, other: Attention, now: Heads) -> Heads:
    """Tries the order in which heads are most alike, and the order in which they stand."""
    orders = [now.order]
    if "heads" in first.group.moving:
        orders.append(best_order(likeness(first, other), first.group))
    found = [best_gauge(first, other, order) for order in orders]
    best, near = max(found, key=lambda each: each[1])
    gain = near - _nearness(first, other.chosen(now.order), now)
    return best if gain > GAIN * np.finfo(np.float64).eps * abs(near) else now


def _nearness(first: Attention, chosen: Attention, now: Heads) -> float:
    """The inner product of the weights, with the gauges of ``now`` on heads in its order."""
    each = first.group.per_group
    keys, values = (factors.repeat(each, axis=0) for factors in (now.keys, now.values))
    return float(
        (first.keys * (now.keys @ chosen.keys)).sum()
        + (first.values * (now.values @ chosen.values)).sum()
        + (first.queries * (keys @ chosen.queries)).sum()
        + (first.outputs * (values @ chosen.outputs)).sum()
    )


def best_order(alike: Floats, group: HeadGroup) -> NDArray[np.int64]:
    """The best order of query heads that keeps groups together: an assignment in assignments."""
    each, count = group.per_group, group.groups
    inner = np.zeros((count, count, each), np.int64)
    gains = np.zeros((count, count))
    for mine in range(count):
        for theirs in range(count):
            block = alike[mine * each : (mine + 1) * each, theirs * each : (theirs + 1) * each]
            inner[mine, theirs] = best_assignment(block)
            gains[mine, theirs] = block[np.arange(each), inner[mine, theirs]].sum()
    groups = best_assignment(gains)
    order = [theirs * each + inner[mine, theirs] for mine, theirs in enumerate(groups)]
    return np.concatenate(order)
