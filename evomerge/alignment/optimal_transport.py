"""Optimal transport: units are carried to the anchor's places, layer by layer [1].

What a unit is, is told by the tensors whose other axes have been carried already. As all units and
all places weigh the same, the best plan between as many is an assignment. The anchor may have more
places: then zeros come to the rest, and the model computes the same. With a temperature, the plan
has entropy, and what comes to a place is a mean of several units: no symmetry.

[1] S. P. Singh, M. Jaggi. Model fusion via optimal transport. NeurIPS 2020.
    https://arxiv.org/abs/1910.05653
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np

from evomerge.alignment.elements import Element, Units, identity
from evomerge.alignment.layout import Layout
from evomerge.alignment.matching import Read, Side, likeness_of
from evomerge.alignment.transporting import plan
from evomerge.alignment.transports import Transport
from evomerge.alignment.weight_matching import as_they_are, in_balance, others_moved, visit


def optimal_transport(
    layout: Layout,
    anchor: Read,
    source: Read,
    *,
    temperature: float | None = None,
    units: Mapping[str, int] = MappingProxyType({}),
) -> Element:
    """The element that brings a model to an anchor.

    Args:
        layout: of both; what it lets move is moved.
        anchor: reads the tensors of the model that stays.
        source: reads those of the model to be moved.
        temperature: of a soft plan, as `plan` has it; None for assignments.
        units: of the source, in groups in which it is narrower: zeros stand behind them.
    """
    sides = in_balance(layout, anchor, source)
    element = identity(layout)
    known: set[str] = set()
    for name in layout.groups:
        known.add(name)
        if temperature is None or not isinstance(element[name], Units):
            element[name] = visit(name, element, sides, known)
        else:
            both = sides[0], others_moved(name, element, sides)
            element[name] = mixed(name, both, known, temperature, units.get(name))
    return as_they_are(element, sides)


def mixed(
    name: str,
    sides: tuple[Side, Side],
    known: Collection[str],
    temperature: float,
    units: int | None = None,
) -> Transport:
    """The best soft plan for the units of a group, while all others stay.

    Args:
        name: of the group.
        sides: the model that stays, and the one that moves, without this group's move.
        known: groups whose units stand where they belong.
        temperature: as `plan` has it.
        units: of the second model, if it has zeros behind them.
    """
    gains, signs = likeness_of(name, sides, known)
    places = len(gains)
    found = np.zeros_like(gains)
    found[:, :units] = plan(gains[:, :units], temperature)
    # What reads a unit is split among its places.
    split = found * ((units or places) / places)
    return Transport(found * signs, split * signs, found)
