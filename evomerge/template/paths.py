"""How each option of a template is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evomerge.template.nodes import Choice, Items, Keys, Node, Settings
from evomerge.trial import Point


def paths(root: Node) -> tuple[Point, ...]:
    """For each option of each choice, the labels that lead to it; the first leads nowhere."""
    found: list[Mapping[str, float | int | str]] = [{}]
    for path in _options(root, {}):
        if path not in found:
            found.append(path)
    return tuple(found)


def _options(node: Node, path: Point) -> Iterator[Point]:
    for child, labels in _below(node):
        name_taken = any(path.get(name, label) != label for name, label in labels.items())
        if name_taken:  # a shared choice, which is at another option here
            continue
        inner = {**path, **labels}
        if labels:
            yield inner
        yield from _options(child, inner)


def _below(node: Node) -> Iterator[tuple[Node, Mapping[str, str]]]:
    """What a node is made of, with the label that it takes to get there."""
    if isinstance(node, Choice):
        name = node.dimension.name
        for label, option in zip(node.dimension.options, node.options, strict=True):
            yield option, {name: label}
    elif isinstance(node, Keys | Settings):
        for child in node.children.values():
            yield child, {}
    elif isinstance(node, Items):
        for child in node.children:
            yield child, {}
