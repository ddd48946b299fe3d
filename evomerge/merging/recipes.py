"""Recipes of either kind as plans of a model.

The model of a recipe of adapters is its base with the merged adapter in it. That is made in memory,
when the first of its tensors is read, and applied by what applies an adapter on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from evomerge.adapters.contents import Contents, Filling
from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import AdapterPlan, plan_adapters
from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.adapter_config import AdapterConfig, adapter_config_in
from evomerge.checkpoint.adapter_parts import Held
from evomerge.merging.adapters import contents_of
from evomerge.merging.models import with_sources
from evomerge.merging.plan import Plan, plan_merge
from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.recipe.adapters import AdapterRecipe

# What messages call it, and the recipe of the model in which it is.
MERGED = "the merged adapter"


def plan_of(recipe: AnyRecipe) -> Plan:
    """How a recipe becomes a model. Reads headers and configs, no weights.

    Raises:
        EvomergeError: it cannot be followed.
    """
    if isinstance(recipe, Recipe):
        return plan_merge(recipe)
    plan = plan_adapters(recipe, OpenAdapters())
    return plan_with(recipe, Adapted(plan.sources.base, *merged_adapter(plan), MERGED))


def plan_with(recipe: AdapterRecipe, model: Adapted) -> Plan:
    """How the model of a recipe is written: as it is read.

    Args:
        recipe: the recipe.
        model: its base with the merged adapter in it.

    Raises:
        MergeError: the base cannot be written.
    """
    base = recipe.base_model
    reference = ModelReference(base.path, base.revision, MERGED)
    dtype = {"dtype": recipe.dtype} if recipe.output == "model" and recipe.dtype else {}
    tree = {"merge_method": "passthrough", "models": [{"model": reference}], **dtype}
    copied = Recipe.from_tree(tree)
    plan = plan_merge(copied, with_sources(copied, {reference: model}))
    return replace(plan, adapters=recipe.model_copy(update={"output": "model"}))


def merged_adapter(plan: AdapterPlan) -> tuple[Held, AdapterConfig]:
    """The adapter that a recipe merges, as `write_adapters` would write it, in memory.

    Its tensors are made when the first one is read; then a MergeError may say what is wrong.
    """
    recipe = plan.recipe
    # Of a model, only the model is in the type that is asked for.
    contents = contents_of(plan, recipe.dtype if recipe.output == "adapter" else None)
    held = Held(MERGED, contents.infos, partial(_made, plan, contents))
    return held, adapter_config_in(contents.config(), held.path)


def _made(plan: AdapterPlan, contents: Contents) -> Mapping[str, np.ndarray]:
    """All tensors, by name."""
    arrays = {info.name: np.empty(info.shape, info.dtype) for info in contents.infos}
    fillings = (Filling(made.merged.update, made.lengths) for made in plan.merged())
    for part in contents.parts(fillings, plan.averaged()):
        flat = arrays[part.name].reshape(-1)
        flat[part.offset : part.offset + part.array.size] = part.array.reshape(-1)
    return arrays
