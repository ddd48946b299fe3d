"""What a recipe of adapters means, tensor by tensor; decided before any factor is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from evomerge.adapters.lengths import lengths_of, merged_lengths
from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.sources import Matrix, Sources, Whole
from evomerge.adapters.updates import Floats, Update
from evomerge.adapters.wholes import averaged
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

    @property
    def scale(self) -> float:
        """The factor on what comes of it."""
        return float(self.values["scale"])


@dataclass(frozen=True)
class PlannedWhole:
    """A bias or a module's tensor, and how the adapters' are averaged.

    Attributes:
        whole: which.
        weights: ``(adapters,)``, which sum to 1.
        scale: factor on the change of the base's.
    """

    whole: Whole
    weights: Floats
    scale: float


@dataclass(frozen=True)
class Made:
    """What came of one matrix.

    Attributes:
        merged: the update, scale included, and how it was found.
        lengths: ``(outputs,)``: what its rows are brought to; None where no adapter uses DoRA.
    """

    merged: Merged
    lengths: Floats | None


@dataclass(frozen=True)
class AdapterPlan:
    """All that a recipe of adapters makes.

    Attributes:
        recipe: what was asked for.
        sources: base and adapters.
        declared: the method.
        planned: every matrix, by name.
        wholes: what is trained as a whole, by name.
    """

    recipe: AdapterRecipe
    sources: Sources
    declared: Declaration
    planned: Sequence[Planned]
    wholes: Sequence[PlannedWhole]

    @property
    def decomposed(self) -> bool:
        """Whether the result has lengths (DoRA): then every matrix has, in PEFT's format."""
        return any(planned.matrix.decomposed for planned in self.planned)

    def merged(self) -> Iterator[Made]:
        """The matrices, one after the other.

        Raises:
            MergeError: a mean is not unique, or a factor holds NaN.
        """
        for planned in self.planned:
            updates = self.sources.updates(planned.matrix)
            found = self.declared.method.merge(self._task(planned, updates))
            update = found.update.scaled(planned.scale)
            lengths = self._lengths(planned, updates, update) if self.decomposed else None
            yield Made(replace(found, update=update), lengths)

    def averaged(self) -> Iterator[tuple[Whole, int, Floats]]:
        """Blocks of rows of what is trained as a whole, and where they stand.

        Raises:
            MergeError: there is NaN.
        """
        for planned in self.wholes:
            made = averaged(self.sources, planned.whole, planned.weights, planned.scale)
            for offset, block in made:
                yield planned.whole, offset, block

    def _lengths(self, planned: Planned, updates: Sequence[Update], merged: Update) -> Floats:
        """The mean of trained lengths; where there are none, those that the merged rows have."""
        if not planned.matrix.decomposed:
            return lengths_of(self.sources, planned.matrix, [merged])[0]
        return merged_lengths(self.sources, planned.matrix, updates, planned.weights, planned.scale)

    def _task(self, planned: Planned, updates: Sequence[Update]) -> Task:
        labels = [str(entry.adapter) for entry in self.recipe.adapters]
        name, seed = planned.matrix.name, self.recipe.seed
        return Task(name, updates, planned.weights, labels, planned.values, seed)


def plan_adapters(recipe: AdapterRecipe, opened: OpenAdapters) -> AdapterPlan:
    """Opens the adapters, if they are not open yet, and settles every parameter.

    Raises:
        RecipeError: no such method or parameter, or a value that is none.
        CheckpointError: base or adapter cannot be read, or does not fit.
        MergeError: weights sum to zero, or a rank is no rank of a matrix.
    """
    declared = adapter_methods.find(recipe.merge_method, "recipe.merge_method")
    _check_settings(recipe, declared)
    sources = opened.sources(recipe)
    position = _positions(sources)
    plan = AdapterPlan(recipe, sources, declared, [], [])
    planned = [_planned(plan, matrix, position(matrix.name)) for matrix in sources.matrices]
    wholes = [_planned_whole(plan, whole, position(whole.name)) for whole in sources.wholes]
    return replace(plan, planned=planned, wholes=wholes)


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
    shared = plan.recipe.parameters
    values = {
        name: _value(plan.declared, name, [shared], matrix.name, t) for name in plan.declared.params
    }
    ranks = [adapter.rank(matrix.name) for adapter in plan.sources.adapters]
    rank = rank_of(values.get("rank", plan.declared.rank), ranks, matrix.shape, matrix.name)
    return Planned(matrix, _weights(plan, matrix.name, t), values, rank)


def _planned_whole(plan: AdapterPlan, whole: Whole, t: float) -> PlannedWhole:
    """The parameters that hold for a tensor that is trained as a whole."""
    scale = float(_value(plan.declared, "scale", [plan.recipe.parameters], whole.name, t))
    return PlannedWhole(whole, _weights(plan, whole.name, t), scale)


def _weights(plan: AdapterPlan, tensor: str, t: float) -> Floats:
    """``(adapters,)``, which sum to 1."""
    shared = plan.recipe.parameters
    weights = [
        float(_value(plan.declared, "weight", [entry.parameters, shared], tensor, t))
        for entry in plan.recipe.adapters
    ]
    return shares(weights, tensor)


def _value(
    declared: Declaration, name: str, scopes: Sequence[Settings], tensor: str, t: float
) -> Value:
    param = declared.params[name]
    found = look_up_as(param.read, name, scopes, tensor, t)
    return param.default if found is None else found
