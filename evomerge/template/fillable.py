"""What checks, corners and descriptions ask of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from evomerge.recipe import AnyRecipe, ModelReference
from evomerge.space import Space
from evomerge.stacks.code import Code
from evomerge.template.scope import Methods
from evomerge.template.uses import Path
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

    @property
    def codes(self) -> tuple[Code, ...]:
        """How its points write down stacks of layers."""

    def fill(self, point: Point) -> AnyRecipe:
        """The recipe at a point."""

    def match(self, recipe: AnyRecipe) -> Point | None:
        """The point of a recipe."""

    def at(self, values: Point) -> Point:
        """A point with these values, all others in the middle."""

    def paths(self) -> tuple[Path, ...]:
        """The choices that lead to each option."""

    def uses(self) -> Mapping[str, Sequence[Path]]:
        """The choices under which each dimension is read."""

    def corners(self) -> Iterator[tuple[str, Point]]:
        """Points whose models are known by name."""

    def advice(self) -> tuple[str, ...]:
        """What could make the search easier."""
