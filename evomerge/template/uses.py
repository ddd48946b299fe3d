"""Under which choices each dimension of a template is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TypeAlias

from evomerge.template.bodies import METHOD
from evomerge.template.nodes import Choice, Constant, Items, Keys, Node, Settings, Slot
from evomerge.template.scope import Scope

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
        return ((c, scope, path) for name, c in node.children.items() if scope.reads(name))
    return ((child, scope, path) for child in node.children) if isinstance(node, Items) else ()


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
    elif isinstance(node, Items):
        for child in node.children:
            yield from ((inner, [value]) for inner, value in _values(child, path))
    elif isinstance(node, Keys):
        key = METHOD if METHOD in node.children else "value"  # a slice, or an entry of a list
        yield from ((inner, {key: value}) for inner, value in _values(node.children[key], path))
