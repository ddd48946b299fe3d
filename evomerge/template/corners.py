"""Points whose models are known by name: where a search may begin.

A corner is written as a recipe, with every weight of a filled template replaced, and looked for in
the template: so it is a point of the space, or it is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any, TypeAlias

from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import recipe_in
from evomerge.space import rounded
from evomerge.template.aliases import adapter_of
from evomerge.template.fillable import Fillable
from evomerge.template.scope import ON_TASK_VECTORS, Method
from evomerge.template.stack_corners import stacked_corners
from evomerge.trial import Point

Tree: TypeAlias = dict[str, Any]
# Filled recipes, by their methods.
Found: TypeAlias = Mapping[tuple[str, ...], AnyRecipe]

ADAPTERS = "adapters"
BASE, UNIFORM = "base", "uniform"
# Along the arc between two models, its ends first.
STATIONS = (0.0, 1.0, 0.5, 0.25, 0.75)
# Where a model stands alone, nothing is taken away from it or added to it, if the ranges allow it.
NEUTRAL = (
    ("density", "lambda", "scale"),
    ("density", "lambda"),
    ("density",),
    ("lambda", "scale"),
    ("lambda",),
    (),
)


def corners(template: Fillable) -> Iterator[tuple[str, Point]]:
    """The base, each model alone, the uniform mean, and stations on the way between two models.

    The base and the models alone are the same by any method, and given for the first method that
    has them; the mean for each. At most 2 + 2 for each model + 1 for each method, or several that
    share the tensors of a recipe out.
    """
    found: dict[tuple[str, ...], AnyRecipe] = {}
    for path in template.paths():
        recipe = template.fill(template.at(path))
        found.setdefault(recipe.method_names(), recipe)
    most = 2 + 2 * len(template.models) + len(found)
    yield from stacked_corners(template)
    yield from islice(_distinct(template, found), most)


def _distinct(template: Fillable, found: Found) -> Iterator[tuple[str, Point]]:
    taken = set()
    for label, tree in _candidates(template, found):
        if label not in taken:
            point = template.match(recipe_in(tree))
            if point is not None:
                taken.add(label)
                yield label, point


def _candidates(template: Fillable, found: Found) -> Iterator[tuple[str, Tree]]:
    """Labels and recipes, the most wanted first; of one label, the first that can be had counts."""
    filled = [
        (names, [template.methods[name] for name in names], _tree(recipe))
        for names, recipe in found.items()
    ]
    for _, methods, tree in filled:
        yield from _base(tree, methods)
    for _, methods, tree in filled:
        for alias, reference in template.models.items():
            alone = adapter_of(reference) if ADAPTERS in tree else reference
            if alone is not None:
                tried = _weighted(tree, methods, alone.written(), 1.0)
                yield from _neutral(f"only {alias}", tried)
    for names, methods, tree in filled:
        label = UNIFORM if len(filled) == 1 else f"{UNIFORM} {' and '.join(names)}"
        yield from _neutral(label, _uniform(tree, methods))
    for _, methods, tree in filled:
        for t in STATIONS if all("t" in method.params for method in methods) else ():
            yield f"t = {t:g}", _with(tree, "t", t)


def _base(tree: Tree, methods: Sequence[Method]) -> Iterator[tuple[str, Tree]]:
    """``tree`` with nothing added to the base: no weight, or of a mean of adapters no scale."""
    if ADAPTERS in tree and "scale" in tree.get("parameters", {}):
        yield BASE, _with(tree, "scale", 0.0)
    elif all(method.base == "required" for method in methods):
        yield from _neutral(BASE, _weighted(tree, methods, None, 0.0))


def _neutral(label: str, tree: Tree | None) -> Iterator[tuple[str, Tree]]:
    if tree is None:
        return
    for names in NEUTRAL:
        changed = tree
        for name in names:
            changed = _with(changed, name, 1.0)
        yield label, changed


def _uniform(tree: Tree, methods: Sequence[Method]) -> Tree | None:
    """``tree`` with equal weights; None if only some of the methods count the base as a model."""
    if len({method.base in ON_TASK_VECTORS for method in methods}) > 1:
        return None
    return _weighted(tree, methods, None, None)


def _weighted(
    tree: Tree, methods: Sequence[Method], model: object, weight: float | None
) -> Tree | None:
    """``tree`` with other weights; None if they do not stand where they can be told apart.

    Args:
        tree: a recipe.
        methods: its methods.
        model: the one that gets the weight, all others getting 0; None is all of them. Of adapters
            that are merged as such, one of these.
        weight: what it gets; None is an equal share.
    """
    tree = deepcopy(tree)
    if any("weight" not in method.params for method in methods):
        return None
    on_task_vectors = all(method.base in ON_TASK_VECTORS for method in methods)
    for part in tree.get("slices", [tree]):
        entries = _entries(part)
        base = part.get("base_model", tree.get("base_model"))
        if on_task_vectors:
            entries = [entry for entry in entries if _named(entry) != base]
        if model is not None and all(_named(entry) != model for entry in entries):
            return None
        share = rounded(1.0 / len(entries)) if weight is None and entries else weight
        for entry in entries:
            settings = entry.get("parameters", {})
            if "weight" not in settings:
                return None
            chosen = model is None or _named(entry) == model
            settings["weight"] = _all(settings["weight"], share if chosen else 0.0)
    return tree


def _with(tree: Tree, name: str, value: float) -> Tree:
    """``tree`` with one value of a parameter wherever it is set."""
    tree = deepcopy(tree)
    parts = [tree, *tree.get("slices", [])]
    for holder in (*parts, *(each for part in parts for each in _entries(part))):
        settings = holder.get("parameters", {})
        if name in settings:
            settings[name] = _all(settings[name], value)
    return tree


def _entries(part: Tree) -> list[Tree]:
    """What a recipe, or a slice of one, merges."""
    return next((part[key] for key in ("sources", "models", ADAPTERS) if key in part), [])


def _named(entry: Tree) -> object:
    return entry.get("model", entry.get("adapter"))


def _all(setting: object, value: object) -> object:
    """A setting of the same form with one value everywhere."""
    if isinstance(setting, list):
        return [_all(item, value) for item in setting]
    if isinstance(setting, dict):
        return {**setting, "value": _all(setting["value"], value)}
    return value


def _tree(recipe: AnyRecipe) -> Tree:
    return dict(recipe.tree())
