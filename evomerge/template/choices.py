"""A choice in a template: the options are read like any value that stands there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from evomerge.errors import RecipeError
from evomerge.template.dimensions import Dimensions
from evomerge.template.holes import Choose, Search, is_hole, read_hole
from evomerge.template.labels import labels_of
from evomerge.template.nodes import Choice, Node
from evomerge.template.places import Place

# Reads what stands at a place.
Reader: TypeAlias = Callable[[object, Place], Node]


def choice(
    dimensions: Dimensions, tree: Mapping[str, object], hole: Choose, place: Place, read: Reader
) -> Choice:
    """The node of a choice; ``read`` is for its options.

    Raises:
        RecipeError: from ``read``, or two options are the same.
    """
    labels = labels_of(hole.options, f"{place.where}.choose")
    dimension = dimensions.choice(tree, hole, labels, place)
    options = [
        read(option, place.option(position, label))
        for position, (option, label) in enumerate(zip(hole.options, labels, strict=True))
    ]
    return Choice(dimension, tuple(options))


def chosen_or(dimensions: Dimensions, tree: object, place: Place, read: Reader) -> Node:
    """What ``read`` makes of a value, or of each option of a choice that stands for it.

    Raises:
        RecipeError: from ``read``; a hole that is no choice.
    """
    if not isinstance(tree, Mapping) or not is_hole(tree):
        return read(tree, place)
    hole = read_hole(tree, place.where)
    if isinstance(hole, Search):
        raise RecipeError(
            f"{place.where}: {{search: ...}} stands for numbers under 'parameters'; "
            "here give a value, or {choose: [...]}"
        )
    return choice(dimensions, tree, hole, place, lambda t, p: chosen_or(dimensions, t, p, read))
