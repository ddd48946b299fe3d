"""Which layers of which models: the entries of ``models:`` and ``slices:``, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field, PlainValidator, model_validator

from evomerge.errors import RecipeError
from evomerge.recipe.align import Aligning
from evomerge.recipe.data import Data
from evomerge.recipe.entry import Entry, Reference
from evomerge.recipe.methods import MethodSetting, method_for
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import Settings


def _layer_range(value: object) -> tuple[int, int]:
    match value:
        case [first, end] if type(first) is type(end) is int and 0 <= first <= end:
            return first, end
    raise ValueError(f"found {value!r}; expected [first, end], layers counted from 0, end excluded")


LayerRange: TypeAlias = Annotated[tuple[int, int], PlainValidator(_layer_range)]


_REVISION = {"revision": "found revision; write it after the model, as model: path@revision"}


class ModelEntry(Entry):
    """One item of ``models:``: a whole model, its parameters, and data of its own.

    Its ``align`` is how it is moved before it is merged; None leaves it as it is.
    """

    refused: ClassVar[Mapping[str, str]] = _REVISION

    model: Reference
    parameters: Settings = Field(default={})
    data: Data | None = None
    align: Aligning = None


class SourceEntry(Entry):
    """One source of a slice: the layers ``[first, end)`` of a model, its parameters, its data."""

    refused: ClassVar[Mapping[str, str]] = _REVISION

    model: Reference
    layer_range: LayerRange
    parameters: Settings = Field(default={})
    data: Data | None = None
    align: Aligning = None


class SliceEntry(Entry):
    """One item of ``slices:``: consecutive layers of the output, merged from all the sources.

    Its ``merge_method`` is ours, and takes the place of the recipe's.
    """

    sources: Annotated[tuple[SourceEntry, ...], Field(min_length=1)]
    merge_method: MethodSetting | None = None
    base_model: Reference | None = None
    parameters: Settings = Field(default={})

    @model_validator(mode="after")
    def _sources_agree(self) -> SliceEntry:
        refuse_twins([source.model for source in self.sources], "in one slice")
        lengths = {end - first for first, end in (source.layer_range for source in self.sources)}
        if len(lengths) > 1:
            listing = ", ".join(f"{s.model}: {list(s.layer_range)}" for s in self.sources)
            raise ValueError(
                "all inputs to a slice must contain the same number of layers; "
                f"the layer ranges are {listing}"
            )
        return self


def refuse_twins(models: Sequence[ModelReference], place: str) -> None:
    """Raises ValueError if a model is listed twice."""
    for position, model in enumerate(models):
        if model in models[:position]:
            raise ValueError(f"the same model twice {place}: {model}; each may stand once")


def refuse_two_data(entries: Sequence[ModelEntry | SourceEntry]) -> None:
    """Raises ValueError if a model has one ``data:`` here and another one there."""
    found: dict[ModelReference, Data] = {}
    for entry in entries:
        if entry.data is not None and found.setdefault(entry.model, entry.data) != entry.data:
            raise ValueError(f"found two different data for {entry.model}; a model has one")


@dataclass(frozen=True)
class SliceSource:
    """The layers of one model that go into one slice of the output.

    Attributes:
        model: whose layers.
        layers: which, counted from 0.
        settings: the parameters of this model in this slice.
    """

    model: ModelReference
    layers: range
    settings: Settings


@dataclass(frozen=True)
class OutputSlice:
    """Consecutive layers of the output: layer i is merged from the i-th layer of every source.

    Attributes:
        sources: in the order of the recipe; all have equally many layers, possibly none.
        base: the base model of this slice.
        settings: the parameters of this slice.
        methods: what makes its tensors.
    """

    sources: tuple[SliceSource, ...]
    base: ModelReference | None
    settings: Settings
    methods: MethodSetting

    def __len__(self) -> int:
        return len(self.sources[0].layers)

    @property
    def described(self) -> SliceSource:
        """The source whose config.json says what these layers are: the base, or else the first."""
        return next((each for each in self.sources if each.model == self.base), self.sources[0])

    def position(self, layer: int) -> float:
        """Where a layer of this slice stands in a gradient: 0 is the first, 1 the last.

        A lone layer stands at 1, as in mergekit.
        """
        return layer / (len(self) - 1) if len(self) > 1 else 1.0

    def method_for(self, tensor: str) -> str:
        """The method that makes a tensor of the output, by its name."""
        return method_for(self.methods, tensor)


def whole_models(
    entries: Sequence[ModelEntry],
    methods: MethodSetting,
    base: ModelReference | None,
    layers: Mapping[ModelReference, int],
) -> OutputSlice:
    """The one slice that ``models:`` means: all layers of each model, an unlisted base last.

    Raises:
        RecipeError: the models have different numbers of layers.
    """
    settings = {entry.model: entry.parameters for entry in entries}
    if base is not None:
        settings.setdefault(base, {})
    if len({layers[model] for model in settings}) > 1:
        counts = ", ".join(f"{model}: {layers[model]}" for model in settings)
        raise RecipeError(
            "recipe.models: all inputs to a slice must contain the same number of layers; "
            f"found {counts}; choose layers with slices"
        )
    sources = (SliceSource(model, range(layers[model]), own) for model, own in settings.items())
    return OutputSlice(tuple(sources), base, {}, methods)


def chosen_layers(
    entry: SliceEntry,
    methods: MethodSetting,
    base: ModelReference | None,
    layers: Mapping[ModelReference, int],
    where: str,
) -> OutputSlice:
    """The slice that one item of ``slices:`` means.

    ``methods`` and ``base`` are the recipe's, for a slice that has none of its own.

    Raises:
        RecipeError: a layer range is out of bounds.
    """
    for number, source in enumerate(entry.sources):
        if source.layer_range[1] > layers[source.model]:
            raise RecipeError(
                f"{where}.sources.{number}.layer_range: {list(source.layer_range)} is out of "
                f"bounds; {source.model} has {layers[source.model]} layers"
            )
    return OutputSlice(
        tuple(SliceSource(s.model, range(*s.layer_range), s.parameters) for s in entry.sources),
        entry.base_model or base,
        entry.parameters,
        entry.merge_method or methods,
    )
