"""What a search, and whoever simplifies its winner, ask of a template."""

from __future__ import annotations

from typing import Protocol

from evomerge.recipe import AnyRecipe
from evomerge.space import Space
from evomerge.stacks.code import Code
from evomerge.template.scope import Methods
from evomerge.trial import Point


class Filling(Protocol):
    """A template, or what stands for one in a test."""

    @property
    def space(self) -> Space:
        """Where points are."""

    @property
    def methods(self) -> Methods:
        """The merge methods that its recipes may name."""

    @property
    def codes(self) -> tuple[Code, ...]:
        """How its points write down stacks of layers."""

    def fill(self, point: Point) -> AnyRecipe:
        """The recipe of a point."""

    def settle(self, point: Point) -> Point:
        """The point with what its recipe does not read at the middle of its range."""
