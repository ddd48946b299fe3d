"""A recipe of LoRA adapters: merged as low-rank updates of one base, not as models. Ours.

merge_method: frechet
base_model: models/base
adapters:
  - {adapter: adapters/maths, parameters: {weight: 2}}
  - adapter: adapters/code
parameters: {manifold: balanced, rank: r, scale: 1.2}
output: adapter
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from evomerge.recipe.document import Recipe
from evomerge.recipe.entry import Entry, Reference
from evomerge.recipe.layers import refuse_twins
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import Settings
from evomerge.recipe.written import DTypeName, Written


class AdapterEntry(Entry):
    """One item of ``adapters:``: a folder or an id, and its parameters."""

    refused: ClassVar[dict[str, str]] = {
        "model": "found model; an adapter stands under adapter, and its model under base_model",
        "revision": "found revision; write it after the adapter, as adapter: path@revision",
    }

    adapter: Reference
    parameters: Settings = Field(default={})

    @model_validator(mode="after")
    def _adapter_alone(self) -> AdapterEntry:
        if self.adapter.adapter is not None:
            raise ValueError(
                f"found {self.adapter}; name the adapter alone, and the model under base_model"
            )
        return self


class AdapterRecipe(Written):
    """Which adapters to merge and how.

    Attributes:
        adapters: of the base model, in the order of the recipe.
        merge_method: name of the method, which may be any to this unit.
        base_model: the model that all of them were trained on.
        parameters: of the method, for all adapters and matrices.
        output: ``adapter``, for PEFT; or ``model``, the base with the merged adapter in it.
        dtype: of what is written. An adapter is float32 if it is None, and a model as the base is.
        seed: of all random masks.
    """

    adapters: Annotated[tuple[AdapterEntry, ...], Field(min_length=1)]
    merge_method: str
    base_model: Reference
    parameters: Settings = Field(default={})
    output: Literal["adapter", "model"] = "adapter"
    dtype: DTypeName | None = None
    seed: Annotated[int, Field(strict=True)] = 0

    @model_validator(mode="after")
    def _each_once(self) -> AdapterRecipe:
        refuse_twins([entry.adapter for entry in self.adapters], "in adapters")
        if self.base_model.adapter is not None:
            raise ValueError(
                f"found base_model: {self.base_model}; adapters are merged on a model alone"
            )
        return self

    def references(self) -> tuple[ModelReference, ...]:
        """The adapters in the order of the recipe, and the base last."""
        return (*(entry.adapter for entry in self.adapters), self.base_model)

    def model_references(self) -> tuple[ModelReference, ...]:
        """The base alone: adapters are no models."""
        return (self.base_model,)

    def method_names(self) -> tuple[str, ...]:
        """The one method."""
        return (self.merge_method,)

    def method_title(self) -> str:
        """Its name."""
        return self.merge_method


AnyRecipe: TypeAlias = Recipe | AdapterRecipe


def recipe_in(tree: object, where: str = "recipe") -> AnyRecipe:
    """The recipe in a tree of dicts, lists and scalars: of adapters, if it has some.

    Raises:
        RecipeError: the tree is no recipe; the message begins with ``where``.
    """
    return (AdapterRecipe if is_of_adapters(tree) else Recipe).from_tree(tree, where)


def is_of_adapters(tree: object) -> bool:
    """Whether a recipe's tree, with or without holes, merges adapters."""
    return isinstance(tree, Mapping) and "adapters" in tree
