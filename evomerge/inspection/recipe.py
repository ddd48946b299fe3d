"""What a recipe will make of which models, or why it cannot be merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.source import open_source
from evomerge.errors import EvomergeError
from evomerge.inspection.contents import KINDS, Contents, Kind, contents_of, group_of
from evomerge.inspection.model import ModelFacts, Unreadable, facts_of
from evomerge.merging.alignment import as_merged
from evomerge.merging.folder import documents_of
from evomerge.merging.models import tell_apart, with_sources
from evomerge.merging.parameters import check_methods
from evomerge.merging.plan import Plan, plan_merge
from evomerge.methods.base import Value, merge_methods
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.reading import following

METHOD = "merge_method"


@dataclass(frozen=True)
class SliceFacts:
    """Consecutive layers of the output.

    Attributes:
        first: the first layer of the output, counted from 0.
        end: one more than the last.
        sources: for each model its name, first layer, and one more than its last layer.
    """

    first: int
    end: int
    sources: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Applied:
    """What a parameter of the method, or the method itself, is for each kind of tensors.

    Attributes:
        parameter: its name.
        model: whose; None if it is one value for all of them.
        given: whether the recipe says something about it, or it is the default.
        values: by kind. Numbers: the only one, or the lowest and the highest. Words: all there are.
    """

    parameter: str
    model: str | None
    given: bool
    values: Mapping[Kind, tuple[Value, ...]]


@dataclass(frozen=True)
class OutputFacts:
    """What a merge will make.

    Attributes:
        contents: its tensors.
        slices: where its layers come from.
        applied: the parameters of the methods; where there are several methods, first these.
    """

    contents: Contents
    slices: tuple[SliceFacts, ...]
    applied: tuple[Applied, ...]


@dataclass(frozen=True)
class RecipeFacts:
    """A recipe.

    Attributes:
        recipe: its path.
        method: the merge method that it names, or all of them.
        base: the base model that it names.
        models: all that it names, a base that is not listed last.
        output: what it will make; None if it cannot be merged.
        reason: why it cannot be merged: the message that a merge would end with.
    """

    recipe: Path
    method: str
    base: str | None
    models: tuple[ModelFacts | Unreadable, ...]
    output: OutputFacts | None
    reason: str | None


def inspect_recipe(path: Path) -> RecipeFacts:
    """What a recipe will make of which models, or why it cannot be merged.

    Raises:
        RecipeError: it cannot be read as a recipe.
    """
    recipe = Recipe.read(path)
    sources: dict[ModelReference, Checkpoint | Adapted] = {}
    failures: list[EvomergeError] = []
    models: list[ModelFacts | Unreadable] = []
    for reference in recipe.model_references():
        try:
            sources[reference] = open_source(reference)
            models.append(facts_of(reference, sources[reference]))
        except EvomergeError as error:
            failures.append(error)
            models.append(Unreadable(str(reference), str(error)))
    base = None if recipe.base_model is None else str(recipe.base_model)
    output, reason = None, None
    try:
        with following(path):
            output = _output_facts(_planned(recipe, sources, failures))
    except EvomergeError as error:
        reason = str(error)
    return RecipeFacts(path, recipe.method_title(), base, tuple(models), output, reason)


def _planned(
    recipe: Recipe,
    sources: Mapping[ModelReference, Checkpoint | Adapted],
    failures: Sequence[EvomergeError],
) -> Plan:
    """The plan of a merge, or the error that a merge would end with."""
    check_methods(recipe)
    if failures:
        raise failures[0]
    tell_apart(sources)
    plan = plan_merge(recipe, with_sources(recipe, as_merged(recipe, sources)))
    documents_of(plan)
    return plan


def _output_facts(plan: Plan) -> OutputFacts:
    infos = [tensor.info for tensor in plan.tensors]
    layers = sum(len(part) for part in plan.slices)
    return OutputFacts(
        contents_of(plan.models.family, layers, infos, tied=plan.tied),
        tuple(_slices(plan)),
        tuple(_applied(plan)),
    )


def _slices(plan: Plan) -> Iterable[SliceFacts]:
    first = 0
    for part in plan.slices:
        sources = ((str(s.model), s.layers.start, s.layers.stop) for s in part.sources)
        yield SliceFacts(first, first + len(part), tuple(sources))
        first += len(part)


def _applied(plan: Plan) -> Iterable[Applied]:
    """The parameters in the order of the methods' declarations, model by model."""
    names = [str(reference) for reference in plan.models.by_reference]
    found: dict[tuple[str, str | None], dict[Kind, list[Value]]] = {}
    for tensor in plan.tensors:
        if tensor.parameters is None:
            continue
        kind = group_of(plan.models.family, tensor.info.name)
        shared = {METHOD: tensor.method.name, **tensor.parameters.shared}
        for name, value in shared.items():
            found.setdefault((name, None), {}).setdefault(kind, []).append(value)
        for name, values in tensor.parameters.per_model.items():
            for each, value in zip(tensor.inputs, values, strict=True):
                key = (name, names[each.model])
                found.setdefault(key, {}).setdefault(kind, []).append(value)
    given = {METHOD, *plan.recipe.parameter_names()}
    methods = plan.recipe.method_names()
    declared = dict.fromkeys(name for method in methods for name in merge_methods[method].params)
    order = {name: place for place, name in enumerate([METHOD, *declared])}
    if len(methods) == 1:
        del found[METHOD, None]
    for (name, model), by_kind in sorted(found.items(), key=lambda item: order[item[0][0]]):
        kinds = {kind: _distinct(by_kind[kind]) for kind in KINDS if kind in by_kind}
        yield Applied(name, model, name in given, kinds)


def _distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    """The only value; of several numbers the lowest and the highest; of words all."""
    different = list(dict.fromkeys(values))
    if len(different) > 1 and all(type(value) in {int, float} for value in different):
        numbers = [float(value) for value in different if value is not None]
        return min(numbers), max(numbers)
    return tuple(different)
