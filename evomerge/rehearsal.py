"""What is known of a search before anything is recorded: that it can be scored, what it takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from evomerge.config.preparing import Prepared
from evomerge.config.reading import data_files
from evomerge.errors import EvomergeError, SearchError, placed
from evomerge.merging.measured import MeasuredInputs
from evomerge.objective import Objective
from evomerge.recipe import AnyRecipe, ModelReference
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.searching import Start, Unwatched, Watcher
from evomerge.study.records import write_tables
from evomerge.trial import BASELINES, Result
from evomerge.workbench import Aligning, MemoryPlan, Workbench, memory_plan

# A line of the ledger: the recipe, the point, the scores.
LINE_BYTES = 4000
# So many failures say enough.
SHOWN = 3
# Two points away from the middle: the first one loads and remembers what the second will find.
FIRST, SECOND = 0.4, 0.6


@dataclass(frozen=True)
class Rehearsal:
    """What was measured.

    Attributes:
        seconds: of one trial, once all is loaded.
        loading: what the first trials took beyond that.
        trials: how many there will be, the baselines included; None if the budget does not say.
        disk: bytes that the run folder will take, as far as the number of trials is known.
        free: bytes that are free there.
        aligning: what it took to find how models are aligned, which is kept; None if none is.
        measuring: what it took to measure what methods look at, which is kept; None if none does.
    """

    seconds: float
    loading: float
    trials: int | None
    disk: int | None
    free: int
    aligning: float | None = None
    measuring: float | None = None

    @property
    def total(self) -> float | None:
        """Seconds that the search will take, holdout and simplification excepted."""
        return None if self.trials is None else self.loading + self.trials * self.seconds


def models_of(prepared: Prepared) -> Sequence[ModelReference]:
    """Every model that is merged: those of the config, and those of recipes to start from."""
    named = [*prepared.kin.references.values()]
    if isinstance(_middle(prepared), AdapterRecipe):  # each is the base, and an adapter
        named = [reference for reference in named if reference.adapter is None]
    named += [each for start in prepared.starts for each in start.recipe.model_references()]
    return list(dict.fromkeys(named))


def memory_of(prepared: Prepared) -> MemoryPlan:
    """What the search will hold in memory. Reads no weights."""
    models, aligning = models_of(prepared), prepared.aligning
    return memory_plan(models, _middle(prepared), prepared.bench, aligning)


def bench_of(prepared: Prepared, tell: Callable[[str], None] | None = None) -> Workbench:
    """A workbench with every model that is merged; ``tell`` is told what takes a while."""
    return Workbench(models_of(prepared), prepared.bench, Aligning(prepared.aligning, tell))


def proven(prepared: Prepared, objective: Objective, watcher: Watcher) -> tuple[Start, ...]:
    """What the search starts from, scored up to the first that has scores.

    A search that could never score anything ends here, before there is a run of it.

    Raises:
        SearchError: nothing that the search starts from can be scored.
        RecipeError: an objective or a constraint is no score of the evaluators, a metric is none
            of an evaluator's, or the probe can be made of no score of theirs.
    """
    starts = list(prepared.starts)
    failures: dict[str, list[str]] = {}
    for number, start in enumerate(starts):
        result = start.result
        if result is None:
            watcher.began(BASELINES, number)
            result = _scored(prepared, objective, start.recipe)
        starts[number] = replace(start, result=result)
        if result.failure is None:
            _check_probing(prepared, result)
            return tuple(starts)
        failures.setdefault(result.failure.message, []).append(start.label)
    if failures:
        listed = [f"{_named(labels)}: {message}" for message, labels in failures.items()]
        raise SearchError(
            f"{prepared.located.path}: every baseline failed; nothing can be searched\n       "
            + "\n       ".join(listed[:SHOWN])
        )
    found = _scored(prepared, objective, _middle(prepared))
    if found.failure is None:
        _check_probing(prepared, found)
    return ()


def _middle(prepared: Prepared) -> AnyRecipe:
    return prepared.template.fill(prepared.template.space.middle())


def _named(labels: Sequence[str]) -> str:
    """``base and 4 others``."""
    others = len(labels) - 1
    return labels[0] + f" and {others} other{'s' * (others > 1)}" * (others > 0)


def rehearse(prepared: Prepared) -> Rehearsal:
    """Builds and scores a baseline and two candidates, and records nothing.

    Raises:
        SearchError: every baseline fails, or a candidate cannot be built or scored.
        RecipeError: an objective or a constraint is no score of the evaluators, a metric is none
            of an evaluator's, or the probe can be made of no score of theirs.
    """
    with closing(bench_of(prepared)) as bench:
        objective = Objective(bench, prepared.evaluators)
        began = perf_counter()
        for recipe in prepared.aligning:
            bench.align(recipe)
        aligning = perf_counter() - began
        measuring = _measured(prepared, bench)
        began = perf_counter()
        proven(prepared, objective, Unwatched())
        _timed(prepared, objective, FIRST)
        until = perf_counter() - began
        seconds, result = _timed(prepared, objective, SECOND)
    budget = prepared.located.config.budget.trials
    trials = None if budget is None else budget + len(prepared.starts)
    items = write_tables(result.tables, "a rehearsal")
    place = prepared.located.run
    return Rehearsal(
        seconds,
        max(0.0, until - 2 * seconds),
        trials,
        None if trials is None else trials * (len(items) + LINE_BYTES),
        shutil.disk_usage(_existing(place)).free,
        aligning if prepared.aligning else None,
        measuring,
    )


def _measured(prepared: Prepared, bench: Workbench) -> float | None:
    """The seconds it took to measure all that a method of the search looks at; None if none does.

    At every option: a few candidates alone may all be of methods that look at nothing.
    """
    template, device = prepared.template, prepared.bench.chosen_device()
    ways = template.paths() if data_files(template.tree) else ()
    plans = [bench.plan(template.fill(template.at(way))) for way in ways]
    looking = [plan for plan in plans if any(tensor.measures for tensor in plan.tensors)]
    began = perf_counter()
    try:
        for plan in looking:
            MeasuredInputs(plan, device).prepare()
    except EvomergeError as error:
        raise placed(error, str(prepared.located.path)) from error
    return perf_counter() - began if looking else None


def _timed(prepared: Prepared, objective: Objective, share: float) -> tuple[float, Result]:
    template = prepared.template
    recipe = template.fill(template.space.decode([share] * len(template.space)))
    began = perf_counter()
    result = _scored(prepared, objective, recipe)
    if result.failure is not None:
        raise SearchError(f"{prepared.located.path}: a first candidate: {result.failure.message}")
    return perf_counter() - began, result


def _scored(prepared: Prepared, objective: Objective, recipe: AnyRecipe) -> Result:
    """What came of a recipe, if it has the scores that the config asks for, or failed."""
    try:
        result = objective(recipe)
        if result.failure is None:
            prepared.goals.check(list(result.scores))
    except EvomergeError as error:
        raise placed(error, str(prepared.located.path)) from error
    return result


def _check_probing(prepared: Prepared, result: Result) -> None:
    """Whether a probe can be made of such scores."""
    if prepared.probing is None:
        return
    try:
        prepared.probing.check(result)
    except EvomergeError as error:
        raise placed(error, str(prepared.located.path)) from error


def _existing(place: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())
