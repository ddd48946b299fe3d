"""Under which choices each dimension of a template is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TypeAlias

from evomerge.template.bodies import METHOD, MethodList
from evomerge.template.nodes import Choice, Conditions, Constant, Items, Keys, Node, Settings, Slot
from evomerge.template.scope import Scope
from evomerge.template.stack_node import StackNode

# Stands for any method.
OPEN = ""

# The options taken, by the name of the choice.
Path: TypeAlias = Mapping[str, str]


def uses(root: Node, scope: Scope) -> dict[str, list[Path]]:
    """By the name of a dimension, all ways to a place where a recipe reads it.

    Dimensions that no recipe reads are left out.
    """
    found: dict[str, list[Path]] = {}
    for name, path in _uses(root, scope, {}):
        if path not in found.setdefault(name, []):
            found[name].append(path)
    return found


def _uses(node: Node, scope: Scope, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(node, Slot | Choice):
        yield node.dimension.name, path
    if isinstance(node, StackNode):
        yield from _of_stack(node, path)
    for child, within, inner in _below(node, scope, path):
        yield from _uses(child, within, inner)


def _below(node: Node, scope: Scope, path: Path) -> Iterable[tuple[Node, Scope, Path]]:
    """What a node is made of, as far as it is read, in its scope and with the way to it."""
    if isinstance(node, Choice):
        ways = ((joined(path, labels), option) for labels, option in options(node))
        return ((option, scope, inner) for inner, option in ways if inner is not None)
    if isinstance(node, Keys):
        return (
            (child, node.within(scope, heads), inner)
            for key, child in node.children.items()
            for inner, heads in _heads(node, path, key)
        )
    if isinstance(node, Settings):
        return ((child, inner, path) for child, inner in node.read(scope).values())
    if isinstance(node, Conditions):
        return ((child, scope, path) for child in node.read(scope))
    return ((child, scope, path) for child in node.children) if isinstance(node, Items) else ()


def _of_stack(node: StackNode, path: Path) -> Iterator[tuple[str, Path]]:
    """The dimensions of a stack, at each option at which they count."""
    for dimension in node.code.dimensions:
        choice, labels = node.code.conditions.get(dimension.name, ("", ("",)))
        for label in labels:
            yield dimension.name, {**path, choice: label} if choice else path


def joined(path: Path, labels: Path) -> Path | None:
    """The options of both; None if they take different ones of a choice."""
    if any(path.get(name, label) != label for name, label in labels.items()):
        return None
    return {**path, **labels}


def options(choice: Choice) -> Iterator[tuple[Path, Node]]:
    """Its options, each with the label that takes it."""
    for label, option in zip(choice.dimension.options, choice.options, strict=True):
        yield {choice.dimension.name: label}, option


def _heads(node: Keys, path: Path, key: str) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """What the keys that decide about ``key`` may be, and how they come to be it.

    Of the methods of a recipe, one at a time: a parameter counts that one of them reads.
    """
    keys = [head for head in node.heads if head in node.children and head != key]
    for combination in product(*(_values(node.children[head], {}) for head in keys)):
        inner: Path | None = path
        for labels, _ in combination:
            inner = None if inner is None else joined(inner, labels)
        if inner is not None:
            yield inner, {head: value for head, (_, value) in zip(keys, combination, strict=True)}


def _values(node: Node, path: Path) -> Iterator[tuple[Path, object]]:
    """What a node may be; of a list, one item of it."""
    if isinstance(node, Constant):
        yield path, node.value
    elif isinstance(node, Choice):
        for labels, option in options(node):
            if (inner := joined(path, labels)) is not None:
                yield from _values(option, inner)
    elif isinstance(node, MethodList):
        yield from _entries(node, path)
    elif isinstance(node, Items | Keys):
        yield from _slices(node, path)


def _slices(node: Items | Keys, path: Path) -> Iterator[tuple[Path, object]]:
    """Of a list of slices one, as far as its methods go."""
    if isinstance(node, Items):
        for child in node.children:
            yield from ((inner, [value]) for inner, value in _values(child, path))
    else:
        methods = node.children[METHOD]
        yield from ((inner, {METHOD: value}) for inner, value in _values(methods, path))


def _entries(node: MethodList, path: Path) -> Iterator[tuple[Path, object]]:
    """Of a list of methods one entry, behind those before it, whose methods are left open."""
    before: list[dict[str, object]] = []
    for pattern, value in node.entries():
        for inner, method in _values(value, path):
            yield inner, [*before, {"filter": pattern, "value": method}]
        before.append({"filter": pattern, "value": OPEN})
