"""A template as a tree of nodes, each of which can be filled and recognises what it became.

    Constant    the same in every recipe
    Slot        one number of the space
    Choice      one of several nodes
    Items       a list
    └── Conditions    the value of a parameter for each of several filters
    Keys        a mapping
    └── Source    an item of ``models`` or ``sources``
    Settings    what stands under ``parameters``, as far as a method reads it

(The recipe itself, its slices and their methods are nodes of ``bodies``.)

Filling gives the plain tree that a ``Recipe`` of the same content has, so that recognising is
walking both trees side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from evomerge.space import ChoiceDimension, FloatDimension, IntDimension
from evomerge.template.scope import Scope
from evomerge.trial import Point, Value

# What is filled with nothing: ``parameters`` of which the method reads none.
ABSENT = object()


class Node(Protocol):
    """A part of a template."""

    def fill(self, point: Point, scope: Scope) -> object:
        """The part of the recipe that it becomes at ``point``; ABSENT if nothing."""

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """All values, beside those already bound, at which it becomes ``tree``.

        Of those that differ only in dimensions that no other part shares, the first.
        """


@dataclass(frozen=True)
class Constant:
    """The same in every recipe.

    Attributes:
        value: as a recipe's plain tree has it.
    """

    value: object

    def fill(self, point: Point, scope: Scope) -> object:  # noqa: ARG002
        """The value."""
        return self.value

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:  # noqa: ARG002
        """Itself alone."""
        if _same(self.value, tree):
            yield bound


@dataclass(frozen=True)
class Slot:
    """One number of the space.

    Attributes:
        dimension: which.
    """

    dimension: FloatDimension | IntDimension

    def fill(self, point: Point, scope: Scope) -> object:  # noqa: ARG002
        """The number, with the digits that points keep."""
        return self.dimension.nearest(point[self.dimension.name])

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:  # noqa: ARG002
        """A number that the dimension has."""
        if isinstance(tree, bool) or not isinstance(tree, int | float):
            return
        value = self.dimension.nearest(tree)
        start = _bind(self.dimension.name, value, bound)
        if value == tree and start is not None:
            yield start


@dataclass(frozen=True)
class Choice:
    """One of several nodes.

    Attributes:
        dimension: which to take.
        options: in the order of the dimension's labels.
    """

    dimension: ChoiceDimension
    options: tuple[Node, ...]

    def fill(self, point: Point, scope: Scope) -> object:
        """What the chosen option becomes."""
        chosen = self.dimension.options.index(str(point[self.dimension.name]))
        return self.options[chosen].fill(point, scope)

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The options in turn, from the one in the middle, at which a search begins."""
        seen = []
        for label, option in self._from_the_middle():
            start = _bind(self.dimension.name, label, bound)
            for found in () if start is None else option.match(tree, scope, start):
                shared = {name: found[name] for name in scope.shared & found.keys()}
                if shared not in seen:
                    seen.append(shared)
                    yield found

    def _from_the_middle(self) -> list[tuple[str, Node]]:
        labelled = list(zip(self.dimension.options, self.options, strict=True))
        middle = self.dimension.decode(0.5)
        return sorted(labelled, key=lambda pair: pair[0] != middle)


@dataclass(frozen=True)
class Items:
    """A list.

    Attributes:
        children: its items.
    """

    children: tuple[Node, ...]

    def fill(self, point: Point, scope: Scope) -> object:
        """The list of what they become."""
        return [child.fill(point, scope) for child in self.children]

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """A list of as many items."""
        if isinstance(tree, list) and len(tree) == len(self.children):
            pairs = zip(self.children, tree, strict=True)
            yield from together([(child, item, scope) for child, item in pairs], bound)


@dataclass(frozen=True)
class Keys:
    """A mapping.

    Attributes:
        children: by key.
    """

    children: Mapping[str, Node]
    heads: ClassVar[tuple[str, ...]] = ()  # the keys that decide how the others are read

    def within(self, scope: Scope, heads: Mapping[str, object]) -> Scope:  # noqa: ARG002
        """The scope of the children, of which ``heads`` are known."""
        return scope

    def fill(self, point: Point, scope: Scope) -> object:
        """The mapping of what they become."""
        inner = self.within(scope, self.known(point, scope))
        filled = {key: child.fill(point, inner) for key, child in self.children.items()}
        return {key: value for key, value in filled.items() if value is not ABSENT}

    def known(self, point: Point, scope: Scope) -> Mapping[str, object]:
        """What the keys become that decide about the others."""
        heads = {key: child for key, child in self.children.items() if key in self.heads}
        return {key: child.fill(point, scope) for key, child in heads.items()}

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """A mapping with these keys."""
        if isinstance(tree, Mapping) and tree.keys() <= self.children.keys():
            inner = self.within(scope, tree)
            pairs = [(child, tree.get(key, ABSENT), inner) for key, child in self.children.items()]
            yield from together(pairs, bound)


class Source(Keys):
    """An item of ``models`` or ``sources``."""

    heads = ("model",)

    def within(self, scope: Scope, heads: Mapping[str, object]) -> Scope:
        """Of this model, which may be the base."""
        return scope.of_model(heads.get("model"))


class Conditions(Items):
    """The value of a parameter for each of several filters, as far as a method reads it."""

    def read(self, scope: Scope) -> list[Node]:
        """The entries that have an effect."""
        found: list[Node] = []
        earlier: list[str] = []
        for child in self.children:
            pattern = pattern_of(child)
            if scope.reads_for(pattern, earlier):
                found.append(child)
            earlier += [] if pattern is None else [pattern]
        return found

    def fill(self, point: Point, scope: Scope) -> object:
        """The list of the entries that have an effect."""
        return [child.fill(point, scope) for child in self.read(scope)] or ABSENT

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The same entries."""
        read = self.read(scope)
        found = [] if tree is ABSENT else tree
        if isinstance(found, list) and len(found) == len(read):
            pairs = zip(read, found, strict=True)
            yield from together([(child, item, scope) for child, item in pairs], bound)


@dataclass(frozen=True)
class Settings:
    """What stands under ``parameters``, as far as a method reads it.

    Attributes:
        children: by the name of the parameter.
    """

    children: Mapping[str, Node]

    def read(self, scope: Scope) -> Mapping[str, tuple[Node, Scope]]:
        """What a method reads, by the name of the parameter."""
        return {
            name: (child, scope.of_parameter(name))
            for name, child in self.children.items()
            if scope.reads(name)
        }

    def fill(self, point: Point, scope: Scope) -> object:
        """The settings that a method reads."""
        read = self.read(scope)
        filled = {name: child.fill(point, inner) for name, (child, inner) in read.items()}
        return {name: value for name, value in filled.items() if value is not ABSENT} or ABSENT

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The same settings."""
        found = {} if tree is ABSENT else tree
        read = self.read(scope)
        if isinstance(found, Mapping) and found.keys() <= read.keys():
            pairs = (
                (child, found.get(name, ABSENT), inner) for name, (child, inner) in read.items()
            )
            yield from together(list(pairs), bound)


def pattern_of(entry: Node) -> str | None:
    """The filter of an entry of a conditional list; None is all tensors."""
    pattern = entry.children.get("filter") if isinstance(entry, Keys) else None
    return str(pattern.value) if isinstance(pattern, Constant) else None


def _bind(name: str, value: Value, bound: Point) -> Point | None:
    """``bound`` with one value more; None if another one is bound to that name."""
    if name not in bound:
        return {**bound, name: value}
    return bound if bound[name] == value else None


def together(pairs: Sequence[tuple[Node, object, Scope]], bound: Point) -> Iterator[Point]:
    """All values at which every node becomes its tree; depth first, without recursion."""
    ahead: list[Iterator[Point]] = [iter([bound])]
    while ahead:
        found = next(ahead[-1], None)
        if found is None:
            ahead.pop()
        elif len(ahead) > len(pairs):
            yield found
        else:
            node, tree, scope = pairs[len(ahead) - 1]
            ahead.append(node.match(tree, scope, found))


def _same(one: object, other: object) -> bool:
    """Whether two plain trees say the same: 1 is 1.0, but not true."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
