"""The encoding ``path``: for each place in the stack, which layer stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from evomerge.space import ChoiceDimension, Dimension, FloatDimension
from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Hop, Stack
from evomerge.trial import Point, Value

NONE = "none"


@dataclass(frozen=True)
class PathCode:
    """A choice among all layers for each place, and the scale there.

    Attributes:
        ground: the stacks that there are.
        title: what the names of its dimensions begin with.
    """

    ground: Ground
    title: str

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Layers first, then scales."""
        fewest, most = self.ground.slots
        layers = tuple(self._hops)
        choices = [
            ChoiceDimension(self._named(place), layers if place < fewest else (*layers, NONE))
            for place in range(most)
        ]
        if self.ground.scale is None:
            return tuple(choices)
        return (
            *choices,
            *(FloatDimension(self._scale(place), *self.ground.scale) for place in range(most)),
        )

    @cached_property
    def conditions(self) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        """A scale counts where there is a layer."""
        if self.ground.scale is None:
            return {}
        places = range(self.ground.slots[1])
        return {self._scale(place): (self._named(place), tuple(self._hops)) for place in places}

    @property
    def neutral(self) -> Mapping[str, Value]:
        """No layer, where there need not be one, and no scales."""
        fewest, most = self.ground.slots
        scaled = range(most if self.ground.scale is not None else 0)
        layers = dict.fromkeys(map(self._named, range(fewest, most)), NONE)
        return layers | dict.fromkeys(map(self._scale, scaled), 1.0)

    def decode(self, point: Point) -> Stack:
        """The layers that are chosen."""
        hops = []
        for place in range(self.ground.slots[1]):
            hop = self._hops.get(str(point[self._named(place)]))
            if hop is not None:
                hops.append(replace(hop, scale=float(point.get(self._scale(place), 1.0))))
        return self.ground.whole(tuple(hops))

    def read(self, point: Point) -> Point:
        """All choices, and the scales of those that are layers."""
        found: dict[str, Value] = {}
        for place in range(self.ground.slots[1]):
            found[self._named(place)] = point[self._named(place)]
            if point[self._named(place)] != NONE and self._scale(place) in point:
                found[self._scale(place)] = point[self._scale(place)]
        return found

    def encode(self, stack: Stack) -> Point | None:
        """The layers from the first place on, the rest empty."""
        middle = self.ground.cut(stack)
        if middle is None:
            return None
        labels = {(hop.model, hop.layer): label for label, hop in self._hops.items()}
        point: dict[str, Value] = dict.fromkeys(map(self._named, range(self.ground.slots[1])), NONE)
        for place, hop in enumerate(middle):
            if (hop.model, hop.layer) not in labels:
                return None
            point[self._named(place)] = labels[hop.model, hop.layer]
            if self.ground.scale is not None:
                point[self._scale(place)] = hop.scale
        return point if self.decode(point) == stack else None

    @cached_property
    def _hops(self) -> Mapping[str, Hop]:
        """Every layer by its label."""
        return {f"{alias} {hop.layer}": hop for alias, hop in self.ground.everywhere()}

    def _named(self, place: int) -> str:
        return f"{self.title}[{place}]"

    def _scale(self, place: int) -> str:
        return f"{self.title}[{place}].scale"
