"""Everything about a merge that can be decided, and refused, before any weight is read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import DType, is_float, parse_dtype, promote
from evomerge.errors import MergeError, RecipeError
from evomerge.merging.contracts import (
    check_contracts,
    check_layers_alike,
    check_missing,
    check_shapes,
    warn_of_densities,
)
from evomerge.merging.data import check_data
from evomerge.merging.inputs import Input
from evomerge.merging.layout import Place, output_tensors
from evomerge.merging.models import Models, open_models
from evomerge.merging.parameters import Distinctions, check_methods, resolve
from evomerge.methods.base import Declaration, Parameters, merge_methods
from evomerge.recipe import ModelReference, OutputSlice, Recipe
from evomerge.recipe.adapters import AdapterRecipe


@dataclass(frozen=True)
class TensorPlan:
    """How one output tensor is made.

    Attributes:
        info: its name, shape and element type as written.
        inputs: what the method merges, in order.
        base: what task vectors are differences from; None if the method works on weights.
        work: the element type that inputs are cast to before the arithmetic.
        parameters: of the method, for this tensor; None when the first input is copied.
        method: what merges the inputs, unless the first is copied.
    """

    info: TensorInfo
    inputs: tuple[Input, ...]
    base: Input | None
    work: DType
    parameters: Parameters | None
    method: Declaration

    @property
    def draws(self) -> bool:
        """Whether noise takes part: then the seed and the places of the models decide as well."""
        return self.parameters is not None and self.method.draws(self.parameters)

    @property
    def measures(self) -> str | None:
        """Which measurement of the inputs the method needs; None if none."""
        return None if self.parameters is None else self.method.measures(self.parameters)

    @property
    def copies(self) -> bool:
        """Whether it has the numbers of its first input, in that one's element type."""
        found = self.inputs[0].info.dtype
        if found != self.info.dtype:
            return False
        if self.parameters is None:
            return True
        return promote([found, self.work]) == self.work and self.method.copies(self.parameters)


@dataclass(frozen=True)
class Plan:
    """How a whole model is made.

    Attributes:
        recipe: what was asked for.
        models: the models it names.
        slices: which layers come from where.
        tensors: the output's tensors, in order.
        adapters: the recipe of adapters that was asked for, whose merge is in the one model of
            ``recipe``; None if it was of models.
    """

    recipe: Recipe
    models: Models
    slices: tuple[OutputSlice, ...]
    tensors: tuple[TensorPlan, ...] = field(repr=False)
    adapters: AdapterRecipe | None = None

    @property
    def tied(self) -> bool:
        """Whether the head is left out because it is the embedding."""
        return all(tensor.info.name != self.models.family.head for tensor in self.tensors)


def plan_merge(recipe: Recipe, models: Models | None = None) -> Plan:
    """Decides how a recipe becomes a model. Reads headers and configs, no weights.

    Args:
        recipe: what to merge.
        models: the opened models of the recipe; None opens them.

    Raises:
        RecipeError: the recipe asks for what does not exist, or for what a method cannot do.
        CheckpointError: a model cannot be read.
        MergeError: the models cannot be merged this way.
    """
    check_methods(recipe)
    models = models or open_models(recipe)
    slices = recipe.slices_for(models.layers())
    check_layers_alike(models, slices)
    places = tuple(output_tensors(models, slices))
    check_contracts(recipe, slices, places)
    planner = _Planner(recipe, models, {id(part): _apart(part, recipe) for part in slices})
    planned = [planner.tensor(place) for place in places]
    tensors = tuple(tensor for tensor in planned if tensor is not None)
    check_data(recipe, models, _looked_at(tensors))
    warn_of_densities((tensor.info.name, tensor.parameters) for tensor in tensors)
    return Plan(recipe, models, slices, tensors)


def _looked_at(tensors: Sequence[TensorPlan]) -> Mapping[int, tuple[str, Source]]:
    """The models that a method looks at, by their places in the recipe: by which, and where."""
    return {
        each.model: (tensor.method.name, each.source)
        for tensor in tensors
        if tensor.measures is not None
        for each in tensor.inputs
    }


@dataclass(frozen=True)
class _Planner:
    """Plans tensor by tensor.

    Attributes:
        recipe: what was asked for.
        models: the models it names.
        apart: by the slice's `id`, what tells the parameters of its tensors apart.
        known: the parameters found so far; in a search, most tensors have the same.
    """

    recipe: Recipe
    models: Models
    apart: Mapping[int, Distinctions]
    known: dict[Hashable, Parameters] = field(default_factory=dict)

    def tensor(self, place: Place) -> TensorPlan | None:
        """The plan for one output tensor; None when it is left out, as too few models have it."""
        method = merge_methods[place.slice.method_for(place.name)]
        present = [(ref, own, name) for ref, own, name in place.found if name is not None]
        check_missing(self.models, place)
        pairs = [(ref, self.models.by_reference[ref].inputs[name]) for ref, _, name in present]
        if self.models.family.is_buffer(place.name):
            return self._copied(place.name, pairs, method)
        infos = [each.source.info(each.name) for _, each in pairs]
        check_shapes([each for _, each in pairs], place.name)
        work, written = self._types([info.dtype for info in infos])
        info = TensorInfo(place.name, infos[0].shape, written)
        if not is_float(infos[0].dtype):
            inputs = tuple(each for _, each in pairs)
            same = replace(info, dtype=infos[0].dtype)
            return TensorPlan(same, inputs, None, infos[0].dtype, None, method)
        inputs, base = _roles(method, pairs, place.slice.base)
        if len(present) < len(place.found) and not self._enough(method, inputs, base, place):
            return _survivor(info, inputs, base, work, method)
        parameters = self._parameters(method, place, inputs)
        return TensorPlan(info, inputs, base, work, parameters, method)

    def _copied(
        self, name: str, pairs: Sequence[tuple[ModelReference, Input]], method: Declaration
    ) -> TensorPlan:
        """Takes a tensor that is not trained from the donor or else the first model that has it."""
        of_donor = (each for ref, each in pairs if ref == self.models.donor_reference)
        origin = next(of_donor, pairs[0][1])
        info = replace(origin.source.info(origin.name), name=name)
        return TensorPlan(info, (origin,), None, info.dtype, None, method)

    def _parameters(
        self, method: Declaration, place: Place, inputs: tuple[Input, ...]
    ) -> Parameters:
        # To filters, an embedding that a tied model lends to the head is a head.
        is_head = place.name == self.models.family.head
        names = [place.name if is_head else each.name for each in inputs]
        distinct = self.apart[id(place.slice)].of([place.name, *names], place.t)
        key = id(place.slice), method.name, tuple(each.model for each in inputs), distinct
        if key not in self.known:
            self.known[key] = self._resolved(method, place, inputs, names)
        return self.known[key]

    def _resolved(
        self, method: Declaration, place: Place, inputs: tuple[Input, ...], names: Sequence[str]
    ) -> Parameters:
        settings = {self.models.by_reference[ref].index: own for ref, own, _ in place.found}
        sources = [
            (each.source.label, name, settings[each.model])
            for each, name in zip(inputs, names, strict=True)
        ]
        shared = [place.slice.settings, self.recipe.parameters]
        parameters = resolve(method, sources, shared, place.name, place.t)
        try:
            method.check(parameters)
        except MergeError as error:
            labels = ", ".join(label for label, _, _ in sources)
            raise RecipeError(f"{place.name}: {error} (models: {labels})") from error
        return parameters

    def _types(self, found: list[DType]) -> tuple[DType, DType]:
        """The types of the arithmetic's inputs and of what is written."""
        work = parse_dtype(self.recipe.dtype) if self.recipe.dtype else promote(found)
        return work, parse_dtype(self.recipe.out_dtype) if self.recipe.out_dtype else work

    def _enough(
        self, method: Declaration, inputs: tuple[Input, ...], base: Input | None, place: Place
    ) -> bool:
        """Whether the models that have an optional tensor are enough to merge it."""
        index = None
        if place.slice.base is not None:
            index = self.models.by_reference[place.slice.base].index
        has_base = base is not None or any(each.model == index for each in inputs)
        return len(inputs) >= method.models[0] and (has_base or not _needs_base(method))


def _apart(part: OutputSlice, recipe: Recipe) -> Distinctions:
    owned = (source.settings for source in part.sources)
    return Distinctions.among([*owned, part.settings, recipe.parameters])


def _roles(
    method: Declaration,
    pairs: Sequence[tuple[ModelReference, Input]],
    base: ModelReference | None,
) -> tuple[tuple[Input, ...], Input | None]:
    """What the method merges, and the base of task vectors."""
    of_base = next((each for ref, each in pairs if ref == base), None)
    others = tuple(each for ref, each in pairs if ref != base)
    if method.base == "input" or of_base is None:
        return tuple(each for _, each in pairs), None
    if method.base == "first":
        return (of_base, *others), None
    return others, of_base


def _needs_base(method: Declaration) -> bool:
    return method.base in {"first", "required"}


def _survivor(
    info: TensorInfo,
    inputs: tuple[Input, ...],
    base: Input | None,
    work: DType,
    method: Declaration,
) -> TensorPlan | None:
    """What becomes of a tensor that too few models have to be merged: copied, or left out."""
    present = [*inputs, *([base] if base else [])]
    if method.partial == "base_alone" and inputs:
        return None
    # A base that no model has changed stays as it is.
    unchanged = base is not None and method.base == "required"
    if len(present) == 1 and (unchanged or method.partial != "merge"):
        return TensorPlan(info, tuple(present), None, work, None, method)
    who = ", ".join(each.source.label for each in present)
    raise MergeError(
        f"{info.name}: only {who} has this tensor; {method.name} needs it in "
        + ("the base and " if _needs_base(method) else "")
        + "more of the models"
    )
