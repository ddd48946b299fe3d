"""Where the units of each group stand in the tensors of one model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.places import DOWNS, OUTPUTS, Place

Indices = NDArray[np.int64]

# What can be asked for: the stream, the neurons, the order of heads, and within each head the
# gauges of keys against queries, and of values against the output matrix.
GROUPS = ("residual", "neurons", "heads", "keys", "values")


@dataclass(frozen=True)
class UnitGroup:
    """Units that change places one by one.

    Attributes:
        size: their number.
        signed: whether they may change their sign.
        scaled: whether they may have any factor but 0.
        turned: whether they are rotated all together, in place of all this.
        widens: whether there may be further units, of zeros.
    """

    size: int
    signed: bool = False
    scaled: bool = False
    turned: bool = False
    widens: bool = False


@dataclass(frozen=True)
class HeadGroup:
    """The heads of one attention.

    Attributes:
        heads: query heads.
        groups: of them, each with one key head and one value head.
        width: of a head.
        rotary: how much of the width rotary embeddings turn, from its beginning: an even number.
        normed: whether keys may change the sign of planes only.
        moving: what of "heads", "keys" and "values" may be moved.
    """

    heads: int
    groups: int
    width: int
    rotary: int
    normed: bool
    moving: frozenset[str] = frozenset({"heads", "keys", "values"})

    @property
    def per_group(self) -> int:
        """Query heads in a group."""
        return self.heads // self.groups


Group = UnitGroup | HeadGroup


class Span(NamedTuple):
    """A part of an axis along which the units of a group stand.

    Attributes:
        group: its name.
        place: what stands there.
        where: the indices along the axis, ``(n,)``, in the order of the units; None for all.
        norm: the tensor with the gains behind which the stream is read here, or which it is; None
            where rotations do not reach.
    """

    group: str
    place: Place
    where: Indices | None = None
    norm: str | None = None


Spans = tuple[tuple[Span, ...], ...]


@dataclass(frozen=True)
class Layout:
    """The groups of a model, and its tensors.

    Attributes:
        groups: by name, such as ``residual`` or ``heads.3``, in the order of the network.
        tensors: by the names of the model, for each axis the spans along it.
        unturned: why rotations of the residual stream are no symmetry, naming the model; empty if
            they are one.
        base: what is stored of a norm's gain is the gain less this.
    """

    groups: Mapping[str, Group]
    tensors: Mapping[str, Spans]
    unturned: str = ""
    base: float = 0.0

    @cached_property
    def _places(self) -> Mapping[str, list[tuple[str, int, Span]]]:
        found: dict[str, list[tuple[str, int, Span]]] = {}
        for name, axes in self.tensors.items():
            for axis, span in ((axis, span) for axis, spans in enumerate(axes) for span in spans):
                found.setdefault(span.group, []).append((name, axis, span))
        return found

    def of(self, group: str) -> list[tuple[str, int, Span]]:
        """Every tensor in which a group stands, with the axis and the span."""
        return self._places.get(group, [])

    def beside(self, group: str) -> set[str]:
        """The other groups that stand in tensors of this one."""
        found = {
            span.group
            for name in {name for name, _, _ in self.of(group)}
            for spans in self.tensors[name]
            for span in spans
        }
        return found - {group}

    def readers(self) -> dict[str, str]:
        """For each group of a layer the matrix that reads its units.

        Of neurons that is the down projection, of heads the output projection.
        """
        return {
            group: name
            for group in self.groups
            for name, _, span in self.of(group)
            if span.place in {DOWNS, OUTPUTS}
        }

    def only(self, kinds: Collection[str]) -> Layout:
        """The same model, of which only some of `GROUPS` may be moved."""
        groups: dict[str, Group] = {}
        for name, group in self.groups.items():
            if isinstance(group, HeadGroup):
                moving = group.moving & frozenset(kinds)
                if moving:
                    groups[name] = replace(group, moving=moving)
            elif kind_of(name) in kinds:
                groups[name] = group
        tensors = {
            name: tuple(tuple(span for span in axis if span.group in groups) for axis in axes)
            for name, axes in self.tensors.items()
        }
        return replace(self, groups=groups, tensors=tensors)


def kind_of(group: str) -> str:
    """The name of a group without its layer."""
    return group.partition(".")[0]
