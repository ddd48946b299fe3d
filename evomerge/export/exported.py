"""A trial as the text of a file that mergekit and evomerge read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeGuard

from evomerge.evidence import Evidence
from evomerge.export.extensions import draws_masks, remarks
from evomerge.export.heading import heading
from evomerge.export.multi import multi_text, obstacle
from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.recipe.adapters import recipe_in
from evomerge.recipe.data import Data
from evomerge.recipe.entry import Entry
from evomerge.study import Study
from evomerge.trial import Trial

MULTI = (
    "For mergekit: a recipe for each run of layers with one method, and one that stacks what they "
    "make. To follow it: mergekit-multi FILE --intermediate-dir SCRATCH --out-path MODEL"
)
MASKS = "mergekit draws masks anew in every run: what it makes is not the model that was scored."


@dataclass(frozen=True)
class Exported:
    """What leaves.

    Attributes:
        trial: where it comes from.
        recipe: what it built, folders as absolute paths.
        text: the content of the file.
        remarks: what someone who gives it to mergekit must know.
        multi: the content of a file for ``mergekit-multi``, where the recipe has several methods
            and there is one.
    """

    trial: Trial
    recipe: AnyRecipe
    text: str
    remarks: tuple[str, ...]
    multi: str | None = None


def export(
    study: Study, trial: Trial, evidence: Evidence, *, today: date | None = None
) -> Exported:
    """The recipe of ``trial``, below a heading.

    Args:
        study: the run.
        trial: any trial of it.
        evidence: what the run can say for its finalists.
        today: what the heading gives as the date.

    Raises:
        RecipeError: the recipe in the ledger is none.
    """
    read = recipe_in(trial.recipe, f"trial {trial.number}: recipe")
    recipe = type(read).model_validate(_located(read))
    day = today or date.today()
    said = [*remarks(recipe), *_of_multi(recipe)]
    head = heading(study, trial, said, evidence, day)
    multi = None
    if _has_several(recipe) and obstacle(recipe) is None:
        masks = [MASKS] if draws_masks(recipe) else []
        above = heading(study, trial, [MULTI, *masks], evidence, day)
        multi = f"{above}\n{multi_text(recipe)}"
    return Exported(trial, recipe, f"{head}\n{recipe.write()}", tuple(said), multi)


def _has_several(recipe: AnyRecipe) -> TypeGuard[Recipe]:
    """Whether it has several methods, as only a recipe of models may."""
    return len(recipe.method_names()) > 1


def _of_multi(recipe: AnyRecipe) -> Iterator[str]:
    """Whether mergekit can follow a recipe of several methods in steps."""
    if not _has_several(recipe):
        return
    reason = obstacle(recipe)
    if reason is None:
        yield "'evomerge export --multi FILE' writes the same recipe in steps, for mergekit-multi."
    else:
        yield f"It cannot be written in steps for mergekit-multi either: {reason}."


def _located(value: object) -> object:
    """The same value; models in folders of this machine by their absolute paths."""
    if isinstance(value, ModelReference):
        adapter = None if value.adapter is None else _absolute(value.adapter)
        return ModelReference(
            _absolute(value.path), value.revision, adapter, value.adapter_revision
        )
    if isinstance(value, Data):
        return value.model_copy(update={"file": os.path.abspath(os.path.expanduser(value.file))})
    if isinstance(value, Entry):
        fields = {name: _located(getattr(value, name)) for name in value.model_fields_set}
        return value.model_copy(update=fields)
    if isinstance(value, Mapping):
        return {key: _located(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_located, value))
    return value


def _absolute(path: str) -> str:
    place = os.path.expanduser(path)
    return os.path.abspath(place) if os.path.isdir(place) else path
