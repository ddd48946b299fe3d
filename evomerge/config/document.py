"""What a config.yaml can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag

from evomerge.recipe.entry import Entry, form


def _form(value: object) -> str:
    """Which form of a value is meant, so that complaints are about that one alone."""
    return form("mapping" if isinstance(value, Mapping | Entry) else "scalar")


def _form_or_list(value: object) -> str:
    return form("list") if isinstance(value, list) else _form(value)


# What may be a text, or a mapping.
Tree: TypeAlias = Annotated[dict[str, Any], Tag(form("mapping"))]
Text: TypeAlias = Annotated[str, Tag(form("scalar"))]
BY_FORM = Discriminator(_form)

Name: TypeAlias = Annotated[str, Field(min_length=1, pattern=r"^[^\[\]@+]+$")]


class ModelSetting(Entry):
    """A model by its parts, where one line of text does not do.

    Attributes:
        model: a folder, or a Hugging Face id.
        revision: a branch, tag or commit of that id.
        adapter: a LoRA adapter that is applied to it.
        adapter_revision: a revision of the adapter.
    """

    model: str
    revision: str | None = None
    adapter: str | None = None
    adapter_revision: str | None = None


Model: TypeAlias = Annotated[Text | Annotated[ModelSetting, Tag(form("mapping"))], BY_FORM]


class BudgetSetting(Entry):
    """When the search ends: as soon as one of these says so.

    Attributes:
        trials: so many trials of the search; baselines and what follows the search do not count.
        hours: so many hours of recorded trials, over all resumes.
        patience: so many trials in a row without a better one.
        target: the objective has reached this value.
    """

    trials: Annotated[int, Field(gt=0)] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None
    patience: Annotated[int, Field(gt=0)] | None = None
    target: float | None = None


class SimplifySetting(Entry):
    """How far the winner may be simplified.

    Attributes:
        tolerance: the loss on the search items that is given for a simpler recipe.
        steps: the most trials it takes.
    """

    tolerance: Annotated[float, Field(ge=0)] = 0.01
    steps: Annotated[int, Field(gt=0)] = 40


class ProbeSetting(Entry):
    """A few items that come before all: what fails on them is dead, and not scored any further.

    Attributes:
        score: which score is looked at, by its name; by default the objective, where there is one
            or several are summed.
        items: on so many items, at least one of each task.
        min: dead is what lies below this.
        max: dead is what lies above this, of a score that is better low.
        share: dead is what has less than this share of the best baseline's score on the same
            items; of a score that is better low, more than so many times as much.
    """

    score: str | None = None
    items: Annotated[int, Field(gt=0)] = 16
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


Simplify: TypeAlias = Annotated[
    Annotated[bool, Tag(form("scalar"))] | Annotated[SimplifySetting, Tag(form("mapping"))],
    BY_FORM,
]
Objectives: TypeAlias = Annotated[
    Text
    | Annotated[list[str], Tag(form("list"))]
    | Annotated[dict[str, float | list[str]], Tag(form("mapping"))],
    Discriminator(_form_or_list),
]


class Config(Entry):
    """A search. Relative paths count from the folder of the file.

    Attributes:
        run: the folder of the results.
        seed: of the optimizer and of the statistics.
        models: short names, used in the recipe: a folder or a Hugging Face id, with
            ``@revision`` and ``+adapter``, or a mapping of these parts.
        recipe: mergekit's YAML with holes, or the path of a file with it.
        optimizer: ``auto``, a name, or a mapping of a name and that optimizer's keys.
        evaluators: by name, each a mapping of an evaluator's name and keys.
        objectives: what is to be made better: a score; several, which stay apart (the result is a
            Pareto front); weights by score (their sum); or ``{mean: [scores]}``.
        constraints: limits of scores: ``{prose: {max: 3.2}}``.
        probe: how candidates that are worth nothing are told from a few items.
        holdout: evaluators of the same names, on items that the search never sees.
        budget: when the search ends.
        lookahead: how many trials may be asked before the first of them is told.
        warm_start: further recipes to start from: mergekit files, points, or run folders.
        baselines: ``auto`` scores base, parents, their uniform soup and standard merges first.
        finalists: how many trials are scored on the holdout; with 0 it stays closed.
        simplify: whether, and how far, the winner is simplified.
        device: where models are scored: ``auto``, ``cpu``, ``cuda``, …
        dtype: of recipes that name none.
        resident: whether all models stay in memory; by default if they fit.
        threads: how many tensors are merged at a time; 0 is one for each core.
        allow_nan: let NaN and infinity in models through.
        allow_benchmarks: search on a benchmark whose scores are commonly reported.
        trust_remote_code: run the Python code that comes with models.
        folder: what relative paths count from, instead of the folder of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="evomerge config.yaml")

    run: str = "run"
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    models: Annotated[Mapping[Name, Model], Field(min_length=1)]
    recipe: Annotated[Text | Tree, BY_FORM]
    optimizer: Annotated[Text | Tree, BY_FORM] = "auto"
    evaluators: Annotated[Mapping[Name, dict[str, Any]], Field(min_length=1)]
    objectives: Objectives
    constraints: dict[str, dict[str, float]] | None = None
    probe: ProbeSetting | None = None
    holdout: Mapping[Name, dict[str, Any]] | None = None
    budget: BudgetSetting
    lookahead: Annotated[int, Field(gt=0)] = 1
    warm_start: list[Annotated[Text | Tree, BY_FORM]] = Field(default=[])
    baselines: Literal["auto", "none"] = "auto"
    finalists: Annotated[int, Field(ge=0)] = 3
    simplify: Simplify = True
    device: str = "auto"
    dtype: str | None = None
    resident: bool | None = None
    threads: Annotated[int, Field(ge=0)] = 0
    allow_nan: bool = False
    allow_benchmarks: bool = False
    trust_remote_code: bool = False
    folder: str | None = None
