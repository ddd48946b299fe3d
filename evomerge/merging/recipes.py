"""Recipes of either kind as plans of a model."""

from __future__ import annotations

from evomerge.errors import RecipeError
from evomerge.merging.plan import Plan, plan_merge
from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import AdapterRecipe


def plan_of(recipe: AnyRecipe) -> Plan:
    """How a recipe becomes a model.

    Raises:
        EvomergeError: it cannot be followed.
    """
    if isinstance(recipe, AdapterRecipe):
        raise RecipeError("recipe: adapters cannot be searched yet; `evomerge merge` merges them")
    return plan_merge(recipe)
