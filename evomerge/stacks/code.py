"""How a search writes a stack down: as values of dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from evomerge.space import Dimension
from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Stack
from evomerge.trial import Point, Value


class Code(Protocol):
    """One encoding; every point is a stack, and most stacks are a point."""

    @property
    def ground(self) -> Ground:
        """The stacks that there are."""

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Its dimensions."""

    @property
    def conditions(self) -> Mapping[str, tuple[str, tuple[str, ...]]]:
        """Dimensions that count only at some options of another one: it, and these options."""

    @property
    def neutral(self) -> Mapping[str, Value]:
        """Values of dimensions that make a stack simpler: no edit, no layer, no scale."""

    def decode(self, point: Point) -> Stack:
        """The stack at a point, which may have values of other dimensions too."""

    def read(self, point: Point) -> Point:
        """The values that the stack at ``point`` depends on, unchanged.

        `decode` gives the same stack with any other values in the place of those left out, as long
        as options without an effect stand in the middle.
        """

    def encode(self, stack: Stack) -> Point | None:
        """Values for which `decode` gives the stack; None if it finds none."""
