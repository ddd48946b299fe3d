"""A model made as wide as another: zeros stand where it has no units, and it computes the same.

The mean square of a residual stream whose further numbers are 0 is less, by the ratio of the
widths. So the gains of its norms become less by the root of that ratio, and their epsilon by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np

from evomerge.alignment.declared import HIDDEN, NEURONS
from evomerge.alignment.elements import Element, Heads, Move, Units
from evomerge.alignment.folding import STREAM
from evomerge.alignment.layout import Group, HeadGroup, Layout, Span
from evomerge.alignment.places import WRITES

EPSILON = "rms_norm_eps"


def padding(narrow: Layout, wide: Layout) -> dict[str, Move]:
    """What makes one model as wide as another; empty if it is.

    Args:
        narrow: the model; its groups are those of ``wide``, of as many units or fewer.
        wide: the other.
    """
    moves: dict[str, Move] = {}
    for name, group in narrow.groups.items():
        places = _size(wide.groups[name])
        if _size(group) < places:
            order = np.arange(places)
            order[_size(group) :] = -1
            gain = sqrt(_size(group) / places) if name == STREAM else 1.0
            moves[name] = Units(order, np.ones(places), gain)
    return moves


def widened(config: Mapping[str, object], layout: Layout, element: Element) -> dict[str, object]:
    """The config.json of a model after an element has acted on it.

    Args:
        config: of the model as it is.
        layout: of the same.
        element: what is done to it.
    """
    after = dict(config)
    words = 1 if HIDDEN[1] in config else 0
    for name, group in layout.groups.items():
        places = _places(element.get(name))
        if isinstance(group, HeadGroup) or places in {None, group.size}:
            continue
        after[(HIDDEN if name == STREAM else NEURONS)[words]] = places
        if name == STREAM:
            epsilon = config.get(EPSILON)
            if isinstance(epsilon, float):
                after[EPSILON] = epsilon * group.size / (places or 1)
            after["head_dim"] = _head_width(layout)
    return after


def _head_width(layout: Layout) -> int:
    return next(each.width for each in layout.groups.values() if isinstance(each, HeadGroup))


def _size(group: Group) -> int:
    return group.heads if isinstance(group, HeadGroup) else group.size


def _places(move: Move | None) -> int | None:
    """How many units there are afterwards."""
    if move is None or isinstance(move, Heads):
        return None
    return move.at(Span(STREAM, WRITES)).size
