"""In which ways a template may align its models: a recipe for each, so that they can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from math import prod

from evomerge.errors import RecipeError
from evomerge.recipe import Recipe
from evomerge.template.fillable import Fillable
from evomerge.template.uses import Path

# Combinations of options that are tried one by one; of more, each option by itself.
MANY = 256


def aligning(template: Fillable) -> tuple[Recipe, ...]:
    """Recipes that together align models in all the ways that a template can: a few, or none."""
    found: dict[frozenset[str], Recipe] = {}
    for path in _combinations(template):
        with suppress(RecipeError):  # some combinations of options make none
            recipe = template.fill(template.at(path))
            if isinstance(recipe, Recipe) and recipe.aligned():
                found.setdefault(_ways(recipe), recipe)
    return tuple(found.values())


def _combinations(template: Fillable) -> Iterator[Path]:
    """All options of the choices that decide how models are aligned, the others in the middle."""
    paths = template.paths()
    filled = [template.fill(template.at(path)) for path in paths]
    meant = [_ways(each) if isinstance(each, Recipe) else frozenset() for each in filled]
    deciding = {name for path, ways in zip(paths, meant, strict=True) for name in path
                if ways != meant[0]}  # fmt: skip
    choices = [each for each in template.space.choices if each.name in deciding]
    if prod(len(each.options) for each in choices) > MANY:
        yield from paths
        return
    for labels in product(*(each.options for each in choices)):
        yield dict(zip([each.name for each in choices], labels, strict=True))


def _ways(recipe: Recipe) -> frozenset[str]:
    return frozenset(repr((model, way.how)) for model, way in recipe.aligned().items())
