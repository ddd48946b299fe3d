"""``align:`` of a template: which models are moved before they are merged, and how.

A choice may stand for all of it, and for each of its values but the seed. What a model is aligned
to where nothing is said is the base of the recipe, or its first model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from evomerge.errors import RecipeError
from evomerge.recipe.align import KEYS, NONE, groups_in, option_in
from evomerge.recipe.entry import plain, shown
from evomerge.template.choices import Reader, chosen_or
from evomerge.template.dimensions import Dimensions
from evomerge.template.fixed import refuse_hole
from evomerge.template.nodes import ABSENT, Constant, Items, Keys, Node
from evomerge.template.places import Place
from evomerge.template.scope import Scope
from evomerge.trial import Point


class Anchor(Items):
    """What a model is aligned to: one node, or none where nothing is said."""

    def fill(self, point: Point, scope: Scope) -> object:
        """The model; ABSENT if nothing is said."""
        return next((child.fill(point, scope) for child in self.children), ABSENT)

    def match(self, tree: object, scope: Scope, bound: Point) -> Iterator[Point]:
        """The same model, be it said, or meant where nothing is said."""
        meant = scope.anchor if tree is ABSENT else tree
        for child in self.children:
            yield from child.match(meant, scope, bound)
        if not self.children and meant == scope.anchor:
            yield bound


def read_align(dimensions: Dimensions, model: Reader, tree: object, place: Place) -> Node:
    """The node of an alignment.

    Args:
        dimensions: of the holes in it.
        model: reads the alias of a model.
        tree: what stands there; no choice.
        place: where.

    Raises:
        RecipeError: it is none.
    """
    if tree is None or tree is False or tree == NONE:
        return Constant(ABSENT)
    found = {"method": tree} if isinstance(tree, str) else tree
    if not isinstance(found, Mapping):
        raise RecipeError(
            f"{place.where}: found {shown(tree)}; expected the name of an aligner, {NONE}, or a "
            f"mapping with the keys {', '.join(KEYS)} and those of the aligner"
        )
    read = partial(chosen_or, dimensions)
    children: dict[str, Node] = {"to": Anchor(())}
    for key, value in found.items():
        here = place.key(str(key))
        if value is None:
            continue
        if key == "to":
            children[key] = Anchor((read(value, here, model),))
        elif key == "groups":
            children[key] = read(value, here, _groups)
        elif key == "seed":
            refuse_hole(value, here)
            children[key] = Constant(ABSENT if value == 0 else value)
        else:
            children[key] = read(value, here, _option)
    return Keys(children)


def donor_in(tree: Mapping[str, object]) -> object:
    """The base in the tree of a recipe, or its first model: what is meant without ``to``."""
    if "base_model" in tree:
        return tree["base_model"]
    entries = tree.get("models")
    if isinstance(parts := tree.get("slices"), list):
        entries = parts[0].get("sources")
    return entries[0].get("model") if isinstance(entries, list) and entries else None


def _groups(tree: object, place: Place) -> Node:
    try:
        groups = groups_in(tree)
    except ValueError as error:
        raise RecipeError(f"{place.where}: {error}") from error
    return Constant(ABSENT if groups is None else list(groups))


def _option(tree: object, place: Place) -> Node:
    try:
        return Constant(plain(option_in(tree)))
    except ValueError as error:
        raise RecipeError(f"{place.where}: {error}") from error
