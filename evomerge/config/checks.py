"""Whether the parts of a config fit together. Reads headers, no weights."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import plan_adapters
from evomerge.checkpoint.source import Source
from evomerge.config.baselines import Kin
from evomerge.config.document import BudgetSetting, Config
from evomerge.errors import MergeError, RecipeError, unknown
from evomerge.evaluators.base import Evaluator
from evomerge.goals import Goals
from evomerge.merging.alignment import as_merged
from evomerge.merging.models import open_references, with_sources
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import check_device
from evomerge.recipe import AnyRecipe, ModelReference
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.template.aliases import adapter_of
from evomerge.workbench import Settings


def check_budget(budget: BudgetSetting) -> None:
    """Refuses a search that nothing ends.

    Raises:
        RecipeError: the budget sets no limit.
    """
    if budget == BudgetSetting():
        raise RecipeError(
            "config.budget: nothing ends this search; give trials, hours, patience or a target"
        )


def check_place(settings: Settings) -> None:
    """Refuses a device that is not there.

    Raises:
        RecipeError: torch finds none of that name.
    """
    device = settings.chosen_device()
    try:
        check_device(device)
    except MergeError as error:
        raise RecipeError(
            f"config.device: torch finds no device '{device}' here; use auto or cpu"
        ) from error


def check_names(
    goals: Goals, evaluators: Mapping[str, Evaluator], holdout: Mapping[str, Evaluator]
) -> None:
    """Every score needs an evaluator of that name; which metrics it has is known once it scores.

    Raises:
        RecipeError: an objective, a constraint or an evaluator of the holdout has none, or an
            objective none on the holdout.
    """
    constrained = [bound.name for bound in goals.bounds]
    for where, names in (("objectives", list(goals.weights)), ("constraints", constrained)):
        for name in names:
            if name.partition(".")[0] not in evaluators:
                raise RecipeError(f"{where}: {unknown('score', name, evaluators)}")
    for name in holdout:
        if name not in evaluators:
            raise RecipeError(f"holdout: {unknown('evaluator', name, evaluators)}")
    lacking = [name for name in goals.weights if name.partition(".")[0] not in holdout]
    if holdout and lacking:
        raise RecipeError(
            f"holdout: nothing scores '{lacking[0]}', an objective; give it an evaluator of that "
            "name, on items of its own"
        )


def check_apart(config: Config, evaluators: Mapping[str, Evaluator]) -> None:
    """Refuses a holdout that the search has seen; what has no documents is the same everywhere.

    Raises:
        RecipeError: an evaluator stands in both, key for key.
    """
    for name, settings in (config.holdout or {}).items():
        if settings == config.evaluators.get(name) and evaluators[name].sizes() != {}:
            raise RecipeError(
                f"holdout.{name}: the same as evaluators.{name}; a holdout is of items that the "
                "search never sees: give it others"
            )


def check_carriers(kin: Kin) -> None:
    """Refuses adapters of another model than the base on which they are merged.

    Raises:
        RecipeError: there is one.
    """
    if kin.base is None:
        return
    base = kin.references[kin.base]
    for alias in kin.parents:
        model = kin.references[alias]
        if adapter_of(model) and (model.path, model.revision) != (base.path, base.revision):
            raise RecipeError(
                f"models.{alias}: an adapter of {model.path}, but the base_model of the recipe is "
                f"{base}; adapters are merged on the model that they were trained on"
            )


def check_merge(recipe: AnyRecipe, sources: Mapping[ModelReference, Source]) -> None:
    """Sees whether the merge core would take a recipe. Models not among ``sources`` are opened.

    Raises:
        EvomergeError: it would not.
    """
    if isinstance(recipe, AdapterRecipe):
        with OpenAdapters() as adapters:
            plan_adapters(recipe, adapters)
        return
    references = recipe.model_references()
    opened = open_references(reference for reference in references if reference not in sources)
    try:
        plan_merge(recipe, with_sources(recipe, as_merged(recipe, {**sources, **opened})))
    finally:
        for source in opened.values():
            source.close()
