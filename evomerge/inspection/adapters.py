"""What a recipe of adapters will merge, or why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evomerge.adapters.adapter import Adapter
from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import AdapterPlan, Planned, plan_adapters
from evomerge.errors import EvomergeError
from evomerge.merging.adapters import Outcome, foreseen
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.recipe.reading import following


@dataclass(frozen=True)
class SourceFacts:
    """One of the adapters.

    Attributes:
        name: as the recipe names it.
        matrices: how many it changes by factors.
        ranks: the lowest and the highest of its factors.
        apart: tensors that it trains as a whole, and matrices that it brings to lengths (DoRA).
    """

    name: str
    matrices: int
    ranks: tuple[int, int]
    apart: int


@dataclass(frozen=True)
class ModuleFacts:
    """The matrices of one kind of module.

    Attributes:
        module: what its last part is called, such as ``q_proj``.
        matrices: how many are changed.
        partial: how many of them only some of the adapters change.
        ranks: the lowest and the highest of the merged factors.
    """

    module: str
    matrices: int
    partial: int
    ranks: tuple[int, int]


@dataclass(frozen=True)
class AdaptersFacts:
    """A recipe of adapters.

    Attributes:
        recipe: its path.
        method: by which it merges.
        base: the model that the adapters are of.
        output: ``adapter`` or ``model``.
        adapters: in the order of the recipe; none if it cannot be merged.
        modules: what is merged, in the order of the base.
        outcome: the same in numbers; None if it cannot be merged.
        reason: why it cannot be merged: the message that a merge would end with.
    """

    recipe: Path
    method: str
    base: str
    output: str
    adapters: tuple[SourceFacts, ...] = ()
    modules: tuple[ModuleFacts, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = None


def inspect_adapters(path: Path) -> AdaptersFacts:
    """What a recipe of adapters will merge. Reads headers and configs, no factors.

    Raises:
        RecipeError: it cannot be read as such a recipe.
    """
    recipe = AdapterRecipe.read(path)
    about = path, recipe.merge_method, str(recipe.base_model), recipe.output
    try:
        with following(path), OpenAdapters() as opened:
            plan = plan_adapters(recipe, opened)
    except EvomergeError as error:
        return AdaptersFacts(*about, reason=str(error))
    adapters = zip(recipe.adapters, plan.sources.adapters, strict=True)
    return AdaptersFacts(
        *about,
        adapters=tuple(_source(str(entry.adapter), adapter) for entry, adapter in adapters),
        modules=tuple(_modules(plan)),
        outcome=foreseen(plan),
    )


def _source(name: str, adapter: Adapter) -> SourceFacts:
    factored = [matrix for matrix in adapter.changes if adapter.product(matrix) is not None]
    ranks = [adapter.rank(matrix) for matrix in factored] or [0]
    apart = sum(
        adapter.product(tensor) is None or change.magnitude is not None
        for tensor, change in adapter.changes.items()
    )
    return SourceFacts(name, len(factored), (min(ranks), max(ranks)), apart)


def _modules(plan: AdapterPlan) -> Iterator[ModuleFacts]:
    by_module: dict[str, list[Planned]] = {}
    for planned in plan.planned:
        module = planned.matrix.module.rpartition(".")[2]
        by_module.setdefault(module, []).append(planned)
    for module, found in by_module.items():
        ranks = [planned.rank for planned in found]
        partial = plan.sources.partial([planned.matrix for planned in found])
        yield ModuleFacts(module, len(found), partial, (min(ranks), max(ranks)))
