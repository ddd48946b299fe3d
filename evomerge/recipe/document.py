"""The recipe: what to merge, fully decided. mergekit's YAML and what is ours.

Ours are the keys ``seed``, ``data`` and ``align``, and that ``merge_method`` may differ by tensor
and slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from evomerge.recipe.align import Align, refuse_anchors, refuse_two_ways, without_default
from evomerge.recipe.data import Data
from evomerge.recipe.entry import Reference
from evomerge.recipe.layers import (
    ModelEntry,
    OutputSlice,
    SliceEntry,
    SourceEntry,
    chosen_layers,
    refuse_twins,
    refuse_two_data,
    whole_models,
)
from evomerge.recipe.methods import MethodSetting, methods_in, settled
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import Settings
from evomerge.recipe.tokenizer import Tokenizer, Vocabulary
from evomerge.recipe.written import DTypeName, Written


class Way(NamedTuple):
    """How a model is moved before it is merged.

    Attributes:
        where: the path of the first ``align:`` that says so, such as ``recipe.models.1.align``.
        how: what it says, with the anchor under ``to``.
        anchor: the model that it is brought to.
    """

    where: str
    how: Align
    anchor: ModelReference


@dataclass(frozen=True)
class Scope:
    """One ``parameters:`` of a recipe.

    Attributes:
        where: its path, such as ``recipe.models.1.parameters``.
        level: whether it is for one model (``source``), for one slice, or for the whole recipe.
        settings: what it holds.
        methods: the names of those that make the tensors it is for.
    """

    where: str
    level: Literal["source", "slice", "recipe"]
    settings: Settings
    methods: tuple[str, ...]


class Recipe(Written):
    """What to merge and how; equal recipes give equal models.

    Attributes:
        models: whole models to merge; empty if there are slices.
        slices: parts of the output from the first layer to the last; empty if there are models.
        merge_method: name of the method, which may be any to this unit; or, ours, a list of them
            for parts of the tensors.
        base_model: what task vectors are differences from, and the donor of config and tokenizer.
        parameters: of the method, for all models and layers.
        dtype: what every input is cast to before the arithmetic; None keeps their common type.
        out_dtype: what the output is written in; None is ``dtype``.
        tokenizer_source: whose vocabulary the output has, in short.
        tokenizer: the same at length.
        chat_template: ``auto``, a template's name, or Jinja text; None leaves the donor's.
        data: texts that every model is shown, for methods that look at what it does with them;
            a model may have its own. Ours, too.
        seed: of all random masks. Ours: mergekit does not know this key.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "modules": "found modules, which are for models of several parts, such as vision and "
        "language; for a text model, move what stands under modules.default to the top",
        "adapters": "found adapters; expected a recipe of models: write each behind its model, as "
        "in model: MODEL+ADAPTER",
        "name": "found name, which is for a recipe that others in its file use; leave it out",
    }

    models: tuple[ModelEntry, ...] = ()
    slices: tuple[SliceEntry, ...] = ()
    merge_method: MethodSetting
    base_model: Reference | None = None
    parameters: Settings = Field(default={})
    dtype: DTypeName | None = None
    out_dtype: DTypeName | None = None
    tokenizer_source: Vocabulary | None = None
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None
    data: Data | None = None
    seed: Annotated[int, Field(strict=True)] = 0

    @model_validator(mode="after")
    def _one_of_two(self) -> Recipe:
        if bool(self.models) == bool(self.slices):
            found = "both models and slices" if self.models else "neither models nor slices"
            raise ValueError(f"found {found}; give exactly one of them")
        if self.tokenizer is not None and self.tokenizer_source is not None:
            raise ValueError("found both tokenizer and tokenizer_source; give at most one of them")
        refuse_twins([entry.model for entry in self.models], "in models")
        refuse_two_data([entry for _, entry in self._entries()])
        refuse_two_ways((entry.model, self._whole(entry.align)) for _, entry in self._entries())
        refuse_anchors({model: each.anchor for model, each in self.aligned().items()})
        return self

    def tree(self) -> Mapping[str, object]:
        """The recipe as dicts, lists and scalars, defaults left out; ``from_tree`` reads it."""
        tree = settled(super().tree())
        return without_default(tree, self._donor.written()) if self.aligned() else tree

    def references(self) -> tuple[ModelReference, ...]:
        """Every model that is merged or a base: in the order of listing, unlisted bases last."""
        listed = [entry.model for entry in self.models]
        listed += [source.model for entry in self.slices for source in entry.sources]
        bases = [*(entry.base_model for entry in self.slices), self.base_model]
        return tuple(dict.fromkeys([*listed, *(base for base in bases if base is not None)]))

    def model_references(self) -> tuple[ModelReference, ...]:
        """Every model that is read: those, and others that models are aligned to."""
        anchors = (each.anchor for each in self.aligned().values())
        return tuple(dict.fromkeys([*self.references(), *anchors]))

    @property
    def _donor(self) -> ModelReference:
        """The base, or the first model where there is none."""
        return self.base_model or self.references()[0]

    def aligned(self) -> Mapping[ModelReference, Way]:
        """The models that are moved before they are merged."""
        found: dict[ModelReference, Way] = {}
        for where, entry in self._entries():
            if (how := self._whole(entry.align)) is not None and entry.model not in found:
                found[entry.model] = Way(f"{where}.align", how, how.to or self._donor)
        return found

    def _whole(self, how: Align | None) -> Align | None:
        """What is said, with the anchor that is meant."""
        return how and how.model_copy(update={"to": how.to or self._donor})

    def data_for(self, reference: ModelReference) -> Data | None:
        """The texts that a model is shown: its own, or else those of the recipe."""
        return next(
            (each.data for _, each in self._entries() if each.model == reference and each.data),
            self.data,
        )

    def _entries(self) -> Iterator[tuple[str, ModelEntry | SourceEntry]]:
        """Every item of ``models`` and ``sources``, with its path."""
        for i, entry in enumerate(self.models):
            yield f"recipe.models.{i}", entry
        for i, part in enumerate(self.slices):
            for k, source in enumerate(part.sources):
                yield f"recipe.slices.{i}.sources.{k}", source

    def slices_for(self, layers: Mapping[ModelReference, int]) -> tuple[OutputSlice, ...]:
        """The output, slice by slice, from the first layer to the last.

        Args:
            layers: how many layers each of the ``references`` has.

        Raises:
            RecipeError: a layer range is out of bounds, or the whole models differ in depth.
        """
        if self.models:
            return (whole_models(self.models, self.merge_method, self.base_model, layers),)
        methods, base = self.merge_method, self.base_model
        return tuple(
            chosen_layers(entry, methods, base, layers, f"recipe.slices.{number}")
            for number, entry in enumerate(self.slices)
        )

    def method_names(self) -> tuple[str, ...]:
        """The methods that make the output, each once: of the first slice first."""
        settings = [entry.merge_method or self.merge_method for entry in self.slices]
        found = (methods_in(setting) for setting in settings or [self.merge_method])
        return tuple(dict.fromkeys(name for names in found for name in names))

    def method_title(self) -> str:
        """The same in words: ``ties``, or ``ties and linear``."""
        *others, last = self.method_names()
        return f"{', '.join(others)} and {last}" if others else last

    def method_places(self) -> Iterator[tuple[str, str]]:
        """Every method that is named, with the path where it stands."""
        found = [("recipe.merge_method", self.merge_method)] + [
            (f"recipe.slices.{i}.merge_method", entry.merge_method)
            for i, entry in enumerate(self.slices)
            if entry.merge_method is not None
        ]
        for where, setting in found:
            for name in methods_in(setting):
                yield where, name

    def scopes(self) -> tuple[Scope, ...]:
        """Every ``parameters:`` with something in it, in reading order."""
        methods = self.method_names()
        found = [
            Scope(f"recipe.models.{i}.parameters", "source", entry.parameters, methods)
            for i, entry in enumerate(self.models)
        ]
        for i, part in enumerate(self.slices):
            own, where = methods_in(part.merge_method or self.merge_method), f"recipe.slices.{i}"
            found += [
                Scope(f"{where}.sources.{k}.parameters", "source", source.parameters, own)
                for k, source in enumerate(part.sources)
            ]
            found.append(Scope(f"{where}.parameters", "slice", part.parameters, own))
        found.append(Scope("recipe.parameters", "recipe", self.parameters, methods))
        return tuple(scope for scope in found if scope.settings)

    def parameter_names(self) -> Mapping[str, tuple[str, ...]]:
        """Where each parameter is set: its name -> paths such as ``recipe.parameters.weight``."""
        places: dict[str, tuple[str, ...]] = {}
        for scope in self.scopes():
            for name in scope.settings:
                places[name] = (*places.get(name, ()), f"{scope.where}.{name}")
        return places
