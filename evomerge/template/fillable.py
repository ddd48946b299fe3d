"""What checks, corners and descriptions ask of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from evomerge.recipe import ModelReference, Recipe
from evomerge.space import Space
from evomerge.template.scope import Methods
from evomerge.trial import Point


class Fillable(Protocol):
    """A template."""

    @property
    def where(self) -> str:
        """What messages call it."""

    @property
    def space(self) -> Space:
        """Its dimensions."""

    @property
    def models(self) -> Mapping[str, ModelReference]:
        """The models it may use, by alias."""

    @property
    def methods(self) -> Methods:
        """The merge methods it may use."""

    def fill(self, point: Point) -> Recipe:
        """The recipe at a point."""

    def match(self, recipe: Recipe) -> Point | None:
        """The point of a recipe."""

    def inert(self, point: Point) -> frozenset[str]:
        """The dimensions that the recipe at a point does not depend on."""

    def at(self, values: Point) -> Point:
        """A point with these values, all others in the middle."""

    def paths(self) -> tuple[Point, ...]:
        """The choices that lead to each option."""

    def corners(self) -> Iterator[tuple[str, Point]]:
        """Points whose models are known by name."""

    def advice(self) -> tuple[str, ...]:
        """What could make the search easier."""
