"""The recipe: what to merge, fully decided. mergekit's YAML and one key more, ``seed``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias, cast

from pydantic import AfterValidator, Field, ValidationError, model_validator

from evomerge.dtypes import dtype_name, parse_dtype
from evomerge.errors import RecipeError
from evomerge.recipe.digest import digest_of
from evomerge.recipe.entry import Entry, Reference, plain
from evomerge.recipe.layers import (
    ModelEntry,
    OutputSlice,
    SliceEntry,
    chosen_layers,
    refuse_twins,
    whole_models,
)
from evomerge.recipe.reading import complaint, load_yaml
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import Settings
from evomerge.recipe.tokenizer import Tokenizer, Vocabulary
from evomerge.recipe.writing import dump_yaml


def _dtype(name: str) -> str:
    try:
        return dtype_name(parse_dtype(name))
    except RecipeError as error:
        raise ValueError(str(error).removeprefix("dtype: ")) from error


DTypeName: TypeAlias = Annotated[str, AfterValidator(_dtype)]


@dataclass(frozen=True)
class Scope:
    """One ``parameters:`` of a recipe.

    Attributes:
        where: its path, such as ``recipe.models.1.parameters``.
        level: whether it is for one model (``source``), for one slice, or for the whole recipe.
        settings: what it holds.
    """

    where: str
    level: Literal["source", "slice", "recipe"]
    settings: Settings


class Recipe(Entry):
    """What to merge and how; equal recipes give equal models.

    Attributes:
        models: whole models to merge; empty if there are slices.
        slices: parts of the output from the first layer to the last; empty if there are models.
        merge_method: name of the method; this unit takes any.
        base_model: what task vectors are differences from, and the donor of config and tokenizer.
        parameters: of the method, for all models and layers.
        dtype: what every input is cast to before the arithmetic; None keeps their common type.
        out_dtype: what the output is written in; None is ``dtype``.
        tokenizer_source: whose vocabulary the output has, in short.
        tokenizer: the same at length.
        chat_template: ``auto``, a template's name, or Jinja text; None leaves the donor's.
        seed: of all random masks. Ours: mergekit does not know this key.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "modules": "found modules, which are for models of several parts, such as vision and "
        "language; for a text model, move what stands under modules.default to the top",
        "name": "found name, which is for chains of merges; give each merge a file of its own",
    }

    models: tuple[ModelEntry, ...] = ()
    slices: tuple[SliceEntry, ...] = ()
    merge_method: str
    base_model: Reference | None = None
    parameters: Settings = Field(default={})
    dtype: DTypeName | None = None
    out_dtype: DTypeName | None = None
    tokenizer_source: Vocabulary | None = None
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None
    seed: Annotated[int, Field(strict=True)] = 0

    @model_validator(mode="after")
    def _one_of_two(self) -> Recipe:
        if bool(self.models) == bool(self.slices):
            found = "both models and slices" if self.models else "neither models nor slices"
            raise ValueError(f"found {found}; give exactly one of them")
        if self.tokenizer is not None and self.tokenizer_source is not None:
            raise ValueError("found both tokenizer and tokenizer_source; give at most one of them")
        refuse_twins([entry.model for entry in self.models], "in models")
        return self

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Recipe:
        """The recipe in a YAML file.

        Raises:
            RecipeError: no such file, or no recipe in it; the message begins with the path.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path}: not a text file in UTF-8") from error
        return cls.from_tree(load_yaml(text, str(path)), f"{path}: recipe")

    @classmethod
    def parse(cls, text: str, where: str = "recipe") -> Recipe:
        """The recipe in a YAML text; ``where`` is what messages call it.

        Raises:
            RecipeError: the text is not YAML or not a recipe.
        """
        return cls.from_tree(load_yaml(text, where), where)

    @classmethod
    def from_tree(cls, tree: object, where: str = "recipe") -> Recipe:
        """The recipe in a tree of dicts, lists and scalars; ``where`` is what messages call it.

        Raises:
            RecipeError: the tree is not a recipe.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise complaint(error, where) from error

    def tree(self) -> Mapping[str, object]:
        """The recipe as dicts, lists and scalars, defaults left out; ``from_tree`` reads it."""
        return cast("Mapping[str, object]", plain(self))

    def write(self) -> str:
        """The recipe as YAML that mergekit reads too."""
        return dump_yaml(self.tree())

    def digest(self) -> str:
        """A name for what the recipe says, however it is spelled: 64 hexadecimal digits."""
        return digest_of(plain(self))

    def references(self) -> tuple[ModelReference, ...]:
        """Every model that is merged or a base: in the order of listing, unlisted bases last."""
        listed = [entry.model for entry in self.models]
        listed += [source.model for entry in self.slices for source in entry.sources]
        bases = [*(entry.base_model for entry in self.slices), self.base_model]
        return tuple(dict.fromkeys([*listed, *(base for base in bases if base is not None)]))

    def slices_for(self, layers: Mapping[ModelReference, int]) -> tuple[OutputSlice, ...]:
        """The output, slice by slice, from the first layer to the last.

        Args:
            layers: how many layers each of the ``references`` has.

        Raises:
            RecipeError: a layer range is out of bounds, or the whole models differ in depth.
        """
        if self.models:
            return (whole_models(self.models, self.base_model, layers),)
        return tuple(
            chosen_layers(entry, self.base_model, layers, f"recipe.slices.{number}")
            for number, entry in enumerate(self.slices)
        )

    def scopes(self) -> tuple[Scope, ...]:
        """Every ``parameters:`` with something in it, in reading order."""
        found = [
            Scope(f"recipe.models.{i}.parameters", "source", entry.parameters)
            for i, entry in enumerate(self.models)
        ]
        for i, entry in enumerate(self.slices):
            found += [
                Scope(f"recipe.slices.{i}.sources.{k}.parameters", "source", source.parameters)
                for k, source in enumerate(entry.sources)
            ]
            found.append(Scope(f"recipe.slices.{i}.parameters", "slice", entry.parameters))
        found.append(Scope("recipe.parameters", "recipe", self.parameters))
        return tuple(scope for scope in found if scope.settings)

    def parameter_names(self) -> Mapping[str, tuple[str, ...]]:
        """Where each parameter is set: its name -> paths such as ``recipe.parameters.weight``."""
        places: dict[str, tuple[str, ...]] = {}
        for scope in self.scopes():
            for name in scope.settings:
                places[name] = (*places.get(name, ()), f"{scope.where}.{name}")
        return places
