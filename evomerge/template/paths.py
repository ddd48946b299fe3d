"""How each option of a template is reached."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.template.nodes import Choice, Items, Keys, Node, Settings
from evomerge.template.uses import Path, joined, options


def paths(root: Node) -> tuple[Path, ...]:
    """For each option of each choice, the labels that lead to it; the first leads nowhere."""
    found: list[Path] = [{}]
    for path in _paths(root, {}):
        if path not in found:
            found.append(path)
    return tuple(found)


def _paths(node: Node, path: Path) -> Iterator[Path]:
    if isinstance(node, Choice):
        for labels, option in options(node):
            # A choice that others share may have been made already.
            if (inner := joined(path, labels)) is not None:
                yield inner
                yield from _paths(option, inner)
    elif isinstance(node, Keys | Settings):
        for child in node.children.values():
            yield from _paths(child, path)
    elif isinstance(node, Items):
        for child in node.children:
            yield from _paths(child, path)
