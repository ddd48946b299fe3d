"""The nodes of a whole recipe, whose methods decide which of its parameters count.

A slice without methods of its own has the node of the recipe's methods in their place, and a recipe
of slices has none itself: so each slice has its methods in one place, and a choice of methods that
no slice has counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from evomerge.recipe.methods import MethodSetting, methods_in, settled, spread
from evomerge.recipe.reading import complaint
from evomerge.template.aligning import donor_in
from evomerge.template.nodes import Choice, Items, Keys, Node, pattern_of, together
from evomerge.template.places import Place
from evomerge.template.scope import Scope
from evomerge.trial import Point

_setting: TypeAdapter[object] = TypeAdapter(MethodSetting)

METHOD, BASE, SLICES = "merge_method", "base_model", "slices"


class MethodList(Items):
    """A merge method for each of several filters: one word where it is the same for all."""

    @classmethod
    def of(cls, entries: Sequence[Keys], place: Place) -> MethodList:
        """The node of a list.

        Raises:
            RecipeError: whatever methods they are, the filters make no list of a recipe.
        """
        made = cls(tuple(entries))
        filters = (pattern for pattern, _ in made.entries())
        shape = [{"filter": each, "value": str(number)} for number, each in enumerate(filters)]
        try:
            _setting.validate_python(shape)
        except ValidationError as error:
            raise complaint(error, place.where) from error
        return made

    def entries(self) -> Iterator[tuple[str | None, Node]]:
        """The filter of each entry, None for all tensors, and what its method is."""
        for child in self.children:
            if isinstance(child, Keys):
                yield pattern_of(child), child.children["value"]

    def fill(self, point: Point, scope: Scope) -> object:
        """The list of ``{filter, value}``, or the word."""
        filled = super().fill(point, scope)
        words = methods_in(filled)
        return words[0] if len(words) == 1 else filled

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The same list; or a word that every entry may be."""
        if isinstance(tree, str):
            yield from together([(method, tree, scope) for _, method in self.entries()], bound)
        else:
            yield from super().match(tree, scope, bound)


class Body(Keys):
    """A whole recipe."""

    heads = (METHOD, BASE, SLICES)

    @classmethod
    def of(cls, children: Mapping[str, Node]) -> Body:
        """The node of a recipe, from what was read under its keys."""
        if SLICES not in children:
            return cls(children)
        rest = {key: child for key, child in children.items() if key != METHOD}
        return cls({**rest, SLICES: _inheriting(children[SLICES], children[METHOD])})

    def within(self, scope: Scope, heads: Mapping[str, object]) -> Scope:
        """With all its methods, and its base."""
        slices = heads.get(SLICES)
        parts = slices if isinstance(slices, list) else [heads]
        return scope.of_recipe([part.get(METHOD) for part in parts], heads.get(BASE))

    def fill(self, point: Point, scope: Scope) -> object:
        """The recipe, in the one spelling of its methods."""
        filled = super().fill(point, scope)
        return settled(filled) if isinstance(filled, Mapping) else filled

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """A recipe with these keys."""
        if isinstance(tree, Mapping):
            inner = replace(scope, anchor=donor_in(tree))
            yield from super().match(spread(tree), inner, bound)


class Slice(Keys):
    """An item of ``slices``."""

    heads = (METHOD, BASE)

    def within(self, scope: Scope, heads: Mapping[str, object]) -> Scope:
        """With its methods, and a base of its own, if it has one."""
        return scope.of_slice(heads.get(METHOD), heads.get(BASE))


def _inheriting(node: Node, methods: Node) -> Node:
    """A list of slices, or a choice in it, with ``methods`` for every slice that has none."""
    if isinstance(node, Slice):
        return Slice({METHOD: methods, **node.children})
    if isinstance(node, Choice):
        options = tuple(_inheriting(option, methods) for option in node.options)
        return Choice(node.dimension, options)
    if isinstance(node, Items):
        return Items(tuple(_inheriting(child, methods) for child in node.children))
    return node
