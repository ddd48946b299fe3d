"""The models that a template may name, by alias or by path."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from evomerge.errors import RecipeError, unknown
from evomerge.recipe import ModelReference
from evomerge.template.holes import is_hole
from evomerge.template.places import Place


class Aliases:
    """Models by their short names."""

    def __init__(self, models: Mapping[str, ModelReference]) -> None:
        self._models = models
        self._aliases = {reference: alias for alias, reference in models.items()}

    def reference(self, tree: object, place: Place) -> ModelReference:
        """The model of that alias; or of that path, if it has an alias.

        Raises:
            RecipeError: there is none.
        """
        if isinstance(tree, str) and tree in self._models:
            return self._models[tree]
        try:
            found = ModelReference.of(tree)
        except RecipeError as error:
            raise RecipeError(f"{place.where}: {error}") from error
        if found not in self._aliases:
            raise RecipeError(f"{place.where}: {unknown('model', str(found), self._models)}")
        return found

    def label(self, entry: object) -> str | None:
        """What the entry of a model is called: by its alias, if that is fixed."""
        model = entry.get("model") if isinstance(entry, Mapping) else None
        if model is None or is_hole(model):
            return None
        if isinstance(model, str) and model in self._models:
            return model
        with suppress(RecipeError):  # which is raised again where the model is read
            return self._aliases.get(ModelReference.of(model))
        return None
