"""The node of a stack: the slices of a recipe, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evomerge.families import Family
from evomerge.recipe import ModelReference
from evomerge.space import FloatDimension
from evomerge.stacks.code import Code
from evomerge.stacks.hops import Stack
from evomerge.stacks.slices import METHOD, slices_of, stack_of
from evomerge.template.scope import Scope
from evomerge.trial import Point


@dataclass(frozen=True)
class StackNode:
    """All slices of a recipe.

    Attributes:
        code: from points to stacks and back.
        family: of the models.
    """

    code: Code
    family: Family

    @property
    def anchor(self) -> ModelReference:
        """The model that gives what is outside the layers."""
        return self.code.ground.sources[self.code.ground.anchor].reference

    def slices(self, stack: Stack) -> list[dict[str, object]]:
        """The slices of a stack, as a recipe's plain tree has them."""
        made = slices_of(stack, self.anchor, self.family)
        return [{**each, "merge_method": METHOD} for each in made]

    def fill(self, point: Point, scope: Scope) -> object:  # noqa: ARG002
        """The slices of the stack at a point."""
        return self.slices(self._decoded(point))

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The values of the point that it was filled at, as far as they count; else any."""
        if scope.filled_at is not None and self.fill(scope.filled_at, scope) == tree:
            yield {**bound, **self.code.read(scope.filled_at)}
            return
        slices = tree if isinstance(tree, list) else []
        if not all(isinstance(each, Mapping) for each in slices):
            return
        found = stack_of(slices, self.family)
        if found is None or found[1] != self.anchor:
            return
        point = self.code.encode(found[0])
        if point is not None:
            yield {**bound, **point}

    def _decoded(self, point: Point) -> Stack:
        """The stack, at scales with the digits that points keep."""
        scales = {
            each.name: each.nearest(point[each.name])
            for each in self.code.dimensions
            if isinstance(each, FloatDimension)
        }
        return self.code.decode({**point, **scales})
