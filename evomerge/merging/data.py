"""The data of a recipe: whom they are for, and that they are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evomerge.checkpoint.source import Source
from evomerge.errors import RecipeError
from evomerge.merging.models import Models
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.data import Data


def check_data(recipe: Recipe, models: Models, needed: Mapping[int, tuple[str, Source]]) -> None:
    """Every model that a method looks at has data, and a vocabulary that they can be read in.

    Args:
        recipe: the recipe.
        models: that it names.
        needed: for the index of each model that is looked at, by which method, and where it is
            read.

    Raises:
        RecipeError: one has none, or there is no such file.
    """
    references = references_of(models)
    for index, (method, source) in needed.items():
        data = recipe.data_for(references[index])
        if data is None:
            raise RecipeError(
                f"recipe.data: missing; {method} looks at what {source.label} does with texts: "
                "give 'data: {file: texts.jsonl}' for all models, or with each model"
            )
        if not Path(data.file).is_file():
            raise RecipeError(f"recipe.data: {data.file}: no such file; {method} needs it")
        if models.vocabulary is not None:
            raise RecipeError(
                f"recipe.tokenizer_source: {method} looks at models in their own vocabularies; "
                "leave the tokenizer setting out, or merge by another method"
            )


def data_for(recipe: Recipe, reference: ModelReference) -> Data:
    """What a model is shown; `check_data` has seen that there is something."""
    data = recipe.data_for(reference)
    if data is None:
        raise RecipeError(f"recipe.data: missing for {reference}")
    return data


def references_of(models: Models) -> Mapping[int, ModelReference]:
    """The models by their places in the recipe."""
    return {model.index: reference for reference, model in models.by_reference.items()}
