"""Activation matching: each unit takes the place of the anchor's unit that does most like it.

Both models are shown the same inputs. How alike two units are is the inner product of what they do
there, in one of three forms; the best order of all units is then an assignment [1, 2]. No group
waits for another: each is settled when it has been seen, so no more than one layer is held. The
residual stream is seen behind each layer, and its inner products add up.

Of heads it is compared what they write to the stream, which does not depend on the gauges inside
them: how alike the inner products between inputs are in two heads (linear CKA [3], where they are
normalised). Nor does that depend on the order of the stream, which is known only at the end.

[1] Y. Li, J. Yosinski, J. Clune, H. Lipson, J. Hopcroft. Convergent learning: do different neural
    networks learn the same representations? ICLR 2016. https://arxiv.org/abs/1511.07543
[2] S. K. Ainsworth, J. Hayase, S. Srinivasa. Git Re-Basin: merging models modulo permutation
    symmetries. ICLR 2023. https://arxiv.org/abs/2209.04836
[3] S. Kornblith, M. Norouzi, H. Lee, G. Hinton. Similarity of neural network representations
    revisited. ICML 2019. https://arxiv.org/abs/1905.00414
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evomerge.alignment.assignment import best_assignment
from evomerge.alignment.balancing import balanced
from evomerge.alignment.elements import Element, Heads, Move, Units, compose, identity, invert
from evomerge.alignment.layout import HeadGroup, Layout, UnitGroup
from evomerge.alignment.matching import Floats, Read, Side, best_move, best_order
from evomerge.alignment.moving import rows_of
from evomerge.alignment.places import OUTPUTS

# How activations are compared: as they are, less their mean, and with a norm of 1 besides.
STATISTICS = ("raw", "centred", "correlation")
# Inputs that are multiplied at a time, in the element type of the activations; sums are in float64.
CHUNK = 512
STREAM = "residual"


class Shown(NamedTuple):
    """What the units of a group do in both models on the same inputs.

    Attributes:
        group: its name.
        anchor: ``(inputs, units)``, of heads ``(inputs, heads * width)``: what is read of them.
        source: the same of the model that is moved.
    """

    group: str
    anchor: Floats
    source: Floats


def activation_matching(
    layout: Layout, anchor: Read, source: Read, shown: Iterable[Shown], statistic: str
) -> Element:
    """The element that brings a model to an anchor. Gauges follow from weights, given the order.

    Args:
        layout: of both; what it lets move is moved, if it is shown.
        anchor: reads the tensors of the model that stays.
        source: reads those of the model to be moved.
        shown: what units do, finite; the inner products of a group that comes more than once add
            up.
        statistic: one of `STATISTICS`.
    """
    still, free = balanced(layout, anchor), balanced(layout, source)
    element = identity(layout)
    stream: Floats | None = None
    for name, *both in shown:
        group = layout.groups.get(name)
        if isinstance(group, HeadGroup):
            outputs = [_outputs(layout, name, read) for read in (anchor, source)]
            element[name] = _best_heads(group, both, outputs, statistic)
        elif isinstance(group, UnitGroup):
            pairs = zip(both, (still.get(name), free.get(name)), strict=True)
            found = _products(*(prepared(_balanced(*pair), statistic) for pair in pairs))
            if name == STREAM:
                stream = found if stream is None else stream + found
            else:
                element[name] = _best_units(group, found)
    if isinstance(group := layout.groups.get(STREAM), UnitGroup) and stream is not None:
        element[STREAM] = _best_units(group, stream)
    sides = Side(layout, anchor, still), Side(layout, source, free)
    whole = compose(invert(still), compose(_with_gauges(element, sides), free))
    return {name: move.tidied() for name, move in whole.items()}


def prepared(seen: Floats, statistic: str) -> Floats:
    """Activations whose inner products are the statistic: ``(inputs, units)``."""
    if statistic == "raw":
        return seen
    centred: Floats = seen - seen.mean(0, dtype=np.float64).astype(seen.dtype)
    return centred if statistic == "centred" else _of_norm_one(centred, (0,))


def _of_norm_one(seen: Floats, axes: tuple[int, ...]) -> Floats:
    """The same, divided by the norms over some axes; what is nothing but zeros stays."""
    norms = np.sqrt(np.square(seen, dtype=np.float64).sum(axes, keepdims=True))
    found: Floats = (seen / np.where(norms > 0, norms, 1)).astype(seen.dtype)
    return found


def _balanced(seen: Floats, balance: Move | None) -> Floats:
    """What units do in the balanced model."""
    return seen * balance.scales.astype(seen.dtype) if isinstance(balance, Units) else seen


def _products(first: Floats, other: Floats) -> Floats:
    """``(units, units)``, float64: inner products over all inputs."""
    total: Floats = np.zeros((first.shape[1], other.shape[1]))
    for start in range(0, len(first), CHUNK):
        total += first[start : start + CHUNK].T @ other[start : start + CHUNK]
    return total


def _best_units(group: UnitGroup, alike: Floats) -> Units:
    gains = abs(alike) if group.signed or group.scaled else alike
    order = best_assignment(gains)
    flipped = alike[np.arange(group.size), order] < gains[np.arange(group.size), order]
    return Units(order, np.where(flipped, -1.0, 1.0))


def _outputs(layout: Layout, name: str, read: Read) -> Floats:
    """``(heads * width, numbers)`` of the output matrix."""
    where = next((t, axis, span) for t, axis, span in layout.of(name) if span.place == OUTPUTS)
    rows: Floats = rows_of(read(where[0]), where[1], where[2])
    return rows


def _best_heads(
    group: HeadGroup, both: Sequence[Floats], outputs: Sequence[Floats], statistic: str
) -> Heads:
    pairs = zip(both, outputs, strict=True)
    first, other = (_written(group, seen, matrix, statistic) for seen, matrix in pairs)
    blocks = _products(first, other).reshape(
        group.heads, first.shape[1] // group.heads, group.heads, -1
    )
    # ⟨YₐYₐᵀ, Y_bY_bᵀ⟩ = ‖YₐᵀY_b‖² of what two heads write, Y: (inputs, numbers of the stream).
    alike = np.square(blocks).sum((1, 3))
    one = np.tile(np.eye(group.width), (group.groups, 1, 1))
    return Heads(best_order(alike, group), one, one)


def _written(group: HeadGroup, seen: Floats, outputs: Floats, statistic: str) -> Floats:
    """``(inputs, heads * width)``: what heads write, each in orthonormal coordinates of its own."""
    matrices = outputs.reshape(group.heads, group.width, -1)
    factors: Floats = np.linalg.qr(matrices.swapaxes(1, 2), mode="r")  # type: ignore[assignment]
    still = prepared(seen, "raw" if statistic == "raw" else "centred")
    written = still.reshape(len(seen), group.heads, 1, group.width) @ factors.swapaxes(1, 2)
    if statistic == "correlation":
        heads = written[:, :, 0].swapaxes(0, 1)
        own = np.square(heads.swapaxes(1, 2) @ heads, dtype=np.float64).sum((1, 2))
        written = written / np.where(own > 0, own, 1)[:, None, None] ** 0.25
    return written.reshape(len(seen), -1).astype(seen.dtype)


def _with_gauges(element: Element, sides: tuple[Side, Side]) -> Element:
    """The same order, and in each head the gauge that brings its weights nearest."""
    still, source = sides
    groups = still.layout.groups
    inside = {n: g for n, g in groups.items() if isinstance(g, HeadGroup) and g.moving - {"heads"}}
    fixed = {n: replace(group, moving=group.moving - {"heads"}) for n, group in inside.items()}
    layout = replace(still.layout, groups={**groups, **fixed})
    found = dict(element)
    for name in inside:
        others = {group: move for group, move in element.items() if group != name}
        moving = Side(layout, source.read, compose(others, source.done))
        found[name] = best_move(
            name, element[name], (Side(layout, still.read, still.done), moving), groups
        )
    return found
