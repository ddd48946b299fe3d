"""What a recipe of adapters means, matrix by matrix; decided before any factor is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from evomerge.adapters.base import (
    Declaration,
    Merged,
    Task,
    Value,
    adapter_methods,
    rank_of,
    shares,
)
from evomerge.adapters.sources import Matrix, Sources, open_sources
from evomerge.adapters.updates import Floats, Update
from evomerge.errors import CheckpointError, RecipeError, unknown
from evomerge.families import family_of, layers_in
from evomerge.recipe import Settings
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.recipe.lookup import look_up_as
from evomerge.recipe.settings import scalars


@dataclass(frozen=True)
class Planned:
    """One matrix, and what makes its update.

    Attributes:
        matrix: which.
        weights: ``(adapters,)``, which sum to 1.
        values: of the method's other parameters, by name.
        rank: columns of the merged factors, at least 1.
    """

    matrix: Matrix
    weights: Floats
    values: Mapping[str, Value]
    rank: int


@dataclass(frozen=True)
class AdapterPlan:
    """All that a recipe of adapters makes.

    Attributes:
        recipe: what was asked for.
        sources: base and adapters.
        declared: the method.
        planned: every matrix, by name.
    """

    recipe: AdapterRecipe
    sources: Sources
    declared: Declaration
    planned: Sequence[Planned]

    def merged(self) -> Iterator[tuple[Planned, Merged]]:
        """The updates, one after the other, scale included.

        Raises:
            MergeError: a mean is not unique, or a factor holds NaN.
        """
        for planned in self.planned:
            updates = self.sources.updates(planned.matrix)
            made = self.declared.method.merge(self._task(planned, updates))
            update = made.update.scaled(float(planned.values["scale"]))
            yield planned, Merged(update, made.steps, made.residual)

    def _task(self, planned: Planned, updates: Sequence[Update]) -> Task:
        labels = [str(entry.adapter) for entry in self.recipe.adapters]
        name, seed = planned.matrix.name, self.recipe.seed
        return Task(name, updates, planned.weights, labels, planned.values, seed)


def plan_adapters(recipe: AdapterRecipe, opened: ExitStack) -> AdapterPlan:
    """Opens the adapters, which end with ``opened``, and settles every parameter.

    Raises:
        RecipeError: no such method or parameter, or a value that is none.
        CheckpointError: base or adapter cannot be read, or does not fit.
        MergeError: weights sum to zero, or a rank is no rank of a matrix.
    """
    declared = adapter_methods.find(recipe.merge_method, "recipe.merge_method")
    _check_settings(recipe, declared)
    sources = open_sources(recipe, opened)
    position = _positions(sources)
    plan = AdapterPlan(recipe, sources, declared, [])
    planned = [_planned(plan, matrix, position(matrix.name)) for matrix in sources.matrices]
    return replace(plan, planned=planned)


def _check_settings(recipe: AdapterRecipe, declared: Declaration) -> None:
    own = [(f"recipe.adapters.{i}", each.parameters) for i, each in enumerate(recipe.adapters)]
    for where, settings in (*own, ("recipe", recipe.parameters)):
        for name, setting in settings.items():
            place = f"{where}.parameters.{name}"
            if name not in declared.params:
                what = f"parameter of {declared.name}"
                raise RecipeError(f"{place}: {unknown(what, name, declared.params)}")
            if where != "recipe" and not declared.params[name].per_adapter:
                raise RecipeError(
                    f"{place}: {name} is one value for all adapters; move it to the parameters of "
                    "the recipe"
                )
            for value in scalars(setting):
                declared.params[name].read(value, place)


def _positions(sources: Sources) -> Callable[[str], float]:
    """Where a matrix stands in a gradient, in [0, 1]; 0 outside the layers, as in mergekit."""
    base = sources.base
    try:
        family = family_of(base.config, base.names(), base.label)
        layers = layers_in(base.config, family, base.label)
    except CheckpointError:  # a family that is not known has adapters all the same
        return lambda name: 0.0  # noqa: ARG005
    return lambda name: (family.layer_of(name) or 0) / max(1, layers - 1)


def _planned(plan: AdapterPlan, matrix: Matrix, t: float) -> Planned:
    """The parameters that hold for one matrix."""
    entries, shared = plan.recipe.adapters, plan.recipe.parameters
    values = {
        name: _value(plan.declared, name, [shared], matrix.name, t) for name in plan.declared.params
    }
    weights = [
        float(_value(plan.declared, "weight", [entry.parameters, shared], matrix.name, t))
        for entry in entries
    ]
    ranks = [adapter.rank(matrix.name) for adapter in plan.sources.adapters]
    rank = rank_of(values.get("rank", plan.declared.rank), ranks, matrix.shape, matrix.name)
    return Planned(matrix, shares(weights, matrix.name), values, rank)


def _value(
    declared: Declaration, name: str, scopes: Sequence[Settings], matrix: str, t: float
) -> Value:
    param = declared.params[name]
    found = look_up_as(param.read, name, scopes, matrix, t)
    return param.default if found is None else found
