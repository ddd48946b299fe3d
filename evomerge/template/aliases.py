"""The models that a template may name, and the adapters they carry, by alias or by path."""

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
        adapters = {alias: adapter_of(reference) for alias, reference in models.items()}
        self._adapters = {found: alias for alias, found in adapters.items() if found is not None}

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

    def adapter(self, tree: object, place: Place) -> ModelReference:
        """The adapter of the model of that alias; or of that path, if it is one's.

        Raises:
            RecipeError: there is none.
        """
        if isinstance(tree, str) and tree in self._models:
            found = adapter_of(self._models[tree])
            if found is not None:
                return found
            raise RecipeError(
                f"{place.where}: '{tree}' is a model without an adapter; "
                "among the models write MODEL+ADAPTER"
            )
        try:
            found = ModelReference.of(tree)
        except RecipeError as error:
            raise RecipeError(f"{place.where}: {error}") from error
        if found not in self._adapters:
            raise RecipeError(
                f"{place.where}: {unknown('adapter', str(found), self._adapters.values())}"
            )
        return found

    def label(self, entry: object) -> str | None:
        """What the entry of a model or an adapter is called: by its alias, if that is fixed."""
        if not isinstance(entry, Mapping):
            return None
        key, aliases = (
            ("adapter", self._adapters) if "adapter" in entry else ("model", self._aliases)
        )
        found = entry.get(key)
        if found is None or is_hole(found):
            return None
        if isinstance(found, str) and found in self._models:
            return found
        with suppress(RecipeError):  # which is raised again where the model is read
            return aliases.get(ModelReference.of(found))
        return None


def adapter_of(reference: ModelReference) -> ModelReference | None:
    """The adapter that a model carries, by itself; None if it carries none."""
    if reference.adapter is None:
        return None
    return ModelReference(reference.adapter, reference.adapter_revision)
