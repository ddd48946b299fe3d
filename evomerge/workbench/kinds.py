"""When candidates are of the same models, of one shape, or of one kind."""

from __future__ import annotations

import json
from collections.abc import Hashable

from evomerge.checkpoint.config import apart_from_layers
from evomerge.merging.folder import Documents
from evomerge.merging.plan import Plan
from evomerge.recipe import Recipe
from evomerge.workbench.aligning import ways_of


def models_key(recipe: Recipe) -> Hashable:
    """Equal for recipes that read the same models in the same way."""
    vocabulary = (repr(recipe.tokenizer_source), repr(recipe.tokenizer))
    ways = tuple(ways_of(recipe).values())
    return recipe.references(), recipe.base_model, vocabulary, ways


def shape_of(plan: Plan, documents: Documents) -> Hashable:
    """All that decides the model in memory but its weights."""
    infos = tuple(tensor.info for tensor in plan.tensors)
    return infos, json.dumps(documents.config, sort_keys=True), _outside(plan, documents)


def kind_of(plan: Plan, documents: Documents) -> Hashable:
    """The same of models that differ in their layers alone."""
    rest = apart_from_layers(documents.config)
    return json.dumps(rest, sort_keys=True), _outside(plan, documents)


def _outside(plan: Plan, documents: Documents) -> Hashable:
    """Tokenizer and settings for generation."""
    tokenizer: Hashable = plan.models.donor.source.folder
    if plan.models.vocabulary is not None:
        tokenizer = models_key(plan.recipe)
    return documents.chat_template, tokenizer
