"""The encoding ``indicator``: all layers of all models in order, several times, each in or out.

[1] T. Akiba et al. Evolutionary optimization of model merging recipes. Nature Machine
    Intelligence 7, 2025. https://arxiv.org/abs/2403.13187
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from evomerge.space import Dimension, FloatDimension, IntDimension
from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Hop, Stack
from evomerge.trial import Point, Value


@dataclass(frozen=True)
class IndicatorCode:
    """A bit for each layer, and its scale.

    Once there are as many layers as there may be, further ones are out. Where there are too few,
    the first that are out are in.

    Attributes:
        ground: the stacks that there are.
        title: what the names of its dimensions begin with.
        repeats: how often the layers stand in a row.
    """

    ground: Ground
    title: str
    repeats: int

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Bits first, then scales."""
        bits = [IntDimension(name, 0, 1) for name, _ in self._row]
        if self.ground.scale is None:
            return tuple(bits)
        scales = [FloatDimension(_scale(name), *self.ground.scale) for name, _ in self._row]
        return (*bits, *scales)

    @property
    def conditions(self) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        """Nothing depends on the option of a choice."""
        return {}

    @property
    def neutral(self) -> Mapping[str, Value]:
        """Layers that are out, and no scales."""
        scales = {} if self.ground.scale is None else {_scale(name): 1.0 for name, _ in self._row}
        return {name: 0 for name, _ in self._row} | scales

    def decode(self, point: Point) -> Stack:
        """The layers that are in."""
        return self.ground.whole(tuple(hop for _, hop in self._inside(point)))

    def read(self, point: Point) -> Point:
        """The bits up to the last one that counts, and the scales of the layers that are in."""
        most = self.ground.slots[1]
        found: dict[str, Value] = {}
        for name, _ in self._row:
            if sum(map(bool, found.values())) == most:
                break
            found[name] = point[name]
        scales = (_scale(name) for name, _ in self._inside(point))
        return found | {name: point[name] for name in scales if name in point}

    def encode(self, stack: Stack) -> Point | None:
        """The first of each layer that comes after the one before it."""
        middle = self.ground.cut(stack)
        if middle is None:
            return None
        point: dict[str, Value] = {}
        ahead = list(middle)
        for name, hop in self._row:
            inside = bool(ahead) and replace(ahead[0], scale=1.0) == hop
            point[name] = int(inside)
            if inside:
                scale = ahead.pop(0).scale
                if self.ground.scale is not None:
                    point[_scale(name)] = scale
        if ahead or self.decode(point) != stack:
            return None
        return point

    @cached_property
    def _row(self) -> tuple[tuple[str, Hop], ...]:
        """Every layer as often as it stands there, with the name of its bit."""
        return tuple(
            (f"{self.title}[{time}].{alias}[{hop.layer}]", hop)
            for time in range(self.repeats)
            for alias, hop in self.ground.everywhere()
        )

    def _inside(self, point: Point) -> Iterator[tuple[str, Hop]]:
        low, high = self.ground.slots
        inside = [number for number, (name, _) in enumerate(self._row) if point[name]][:high]
        missing = low - len(inside)
        if missing > 0:
            outside = [number for number in range(len(self._row)) if number not in set(inside)]
            inside = sorted(inside + outside[:missing])
        for number in inside:
            name, hop = self._row[number]
            yield name, replace(hop, scale=float(point.get(_scale(name), 1.0)))


def _scale(name: str) -> str:
    return f"{name}.scale"
