"""The space of a search: named dimensions, each a stretch of the unit interval.

Optimizers think in the unit cube; a point is what a template is filled with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, floor, log, log10

from evomerge.trial import Point, Value

# What a point keeps of a float. The rest would only make recipes hard to read.
DIGITS = 6
# Of a value near zero in a wide range it keeps no more decimals than these behind the range's first
# digit: what lies below is lost on the way to the unit interval and back.
DECIMALS = 10


def rounded(value: float) -> float:
    """``value`` to the significant digits that points keep."""
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class FloatDimension:
    """A number between two others.

    Attributes:
        name: where it stands in the recipe.
        low: the smallest value.
        high: the largest value.
        log: whether equal ratios, rather than equal differences, are equally far apart.
    """

    name: str
    low: float
    high: float
    log: bool = False

    def decode(self, unit: float) -> float:
        """The value at ``unit``, in [0, 1]: 0 is ``low``, 1 is ``high``."""
        if unit <= 0.0:
            return self.low
        if unit >= 1.0:
            return self.high
        if self.log:
            return self.nearest(exp(log(self.low) + unit * (log(self.high) - log(self.low))))
        return self.nearest(self.low + unit * (self.high - self.low))

    def encode(self, value: Value) -> float:
        """Where ``value`` stands, in [0, 1]."""
        number = float(value)
        if self.low == self.high:
            return 0.5
        if self.log:
            return (log(number) - log(self.low)) / (log(self.high) - log(self.low))
        return (number - self.low) / (self.high - self.low)

    def admits(self, value: object) -> bool:
        """Whether ``value`` is one of the dimension's."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def nearest(self, value: Value) -> float:
        """The value nearest to ``value`` that a point can keep; the ends are kept as they are."""
        number = float(value)
        if self.low < number < self.high:
            number = rounded(number if self.log else round(number, self._decimals))
        return min(max(number, self.low), self.high)

    @cached_property
    def _decimals(self) -> int:
        """How many digits a point keeps behind the decimal point, at most."""
        size = max(abs(self.low), abs(self.high))
        return DECIMALS - floor(log10(size)) if size else DECIMALS


@dataclass(frozen=True)
class IntDimension:
    """A whole number between two others, both included.

    Attributes:
        name: where it stands in the recipe.
        low: the smallest value.
        high: the largest value.
    """

    name: str
    low: int
    high: int

    def decode(self, unit: float) -> int:
        """The value at ``unit``, in [0, 1]; each has an equal stretch of it."""
        return self.low + min(int(max(unit, 0.0) * self.size), self.size - 1)

    def encode(self, value: Value) -> float:
        """The middle of the stretch of ``value``, in (0, 1)."""
        return (int(value) - self.low + 0.5) / self.size

    def admits(self, value: object) -> bool:
        """Whether ``value`` is one of the dimension's."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high  # type: ignore[operator]

    def nearest(self, value: Value) -> int:
        """The value of the dimension nearest to ``value``."""
        return min(max(int(value), self.low), self.high)

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1


@dataclass(frozen=True)
class ChoiceDimension:
    """One of several options, which have no order.

    Attributes:
        name: where it stands in the recipe.
        options: their labels, all different.
    """

    name: str
    options: tuple[str, ...]

    def decode(self, unit: float) -> str:
        """The option at ``unit``, in [0, 1]; each has an equal stretch of it."""
        return self.options[min(int(max(unit, 0.0) * self.size), self.size - 1)]

    def encode(self, value: Value) -> float:
        """The middle of the stretch of the option, in (0, 1)."""
        return (self.options.index(str(value)) + 0.5) / self.size

    def admits(self, value: object) -> bool:
        """Whether ``value`` is the label of an option."""
        return value in self.options

    @property
    def size(self) -> int:
        """How many options there are."""
        return len(self.options)


Dimension = FloatDimension | IntDimension | ChoiceDimension


@dataclass(frozen=True)
class Space:
    """Dimensions in the reading order of the template.

    Attributes:
        dimensions: all of them, with different names.
    """

    dimensions: tuple[Dimension, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the dimensions, in order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def floats(self) -> tuple[FloatDimension, ...]:
        """The dimensions of floats."""
        return tuple(each for each in self.dimensions if isinstance(each, FloatDimension))

    @property
    def choices(self) -> tuple[ChoiceDimension, ...]:
        """The dimensions without an order."""
        return tuple(each for each in self.dimensions if isinstance(each, ChoiceDimension))

    def __len__(self) -> int:
        return len(self.dimensions)

    def decode(self, unit: Sequence[float]) -> Point:
        """The point at ``unit``: ``(dimensions,)``, in the unit cube."""
        pairs = zip(self.dimensions, unit, strict=True)
        return {dimension.name: dimension.decode(float(share)) for dimension, share in pairs}

    def encode(self, point: Point) -> list[float]:
        """``(dimensions,)``: where ``point`` stands in the unit cube. ``decode`` gives it back."""
        return [dimension.encode(point[dimension.name]) for dimension in self.dimensions]

    def middle(self) -> Point:
        """The point in the middle of every dimension."""
        return self.decode([0.5] * len(self.dimensions))

    def admits(self, point: Point) -> bool:
        """Whether ``point`` has a value of every dimension, and no other."""
        return set(point) == set(self.names) and all(
            dimension.admits(point[dimension.name]) for dimension in self.dimensions
        )
