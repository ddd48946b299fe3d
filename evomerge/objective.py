"""From a recipe to its scores: build it on the workbench, ask every evaluator, keep what each says.

A candidate that cannot be built or scored fails its trial, not the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING

from evomerge.errors import (
    DeadlineExceeded,
    EvaluationError,
    EvomergeError,
    OutOfMemory,
    RecipeError,
    UnknownMetric,
)
from evomerge.evaluators.base import Evaluator, LoadedModel
from evomerge.evaluators.scores import Measure, Scores
from evomerge.recipe import AnyRecipe
from evomerge.searching import Probe, Prober
from evomerge.trial import Contribution, Failure, ItemTable, Result, Score
from evomerge.workbench import Workbench

if TYPE_CHECKING:
    from torch.nn import Module

# Parameters of a model whose forward passes are shared among threads.
SMALL = 10_000_000

Clusters = Mapping[str, Mapping[int, str]]  # by task, by item: the group that it belongs to


class Objective:
    """Scores recipes on one set of evaluators, with models that stay on the workbench.

    Attributes:
        bench: the workbench.
    """

    def __init__(
        self, workbench: Workbench, evaluators: Mapping[str, Evaluator], *, proven: bool = False
    ) -> None:
        """``evaluators`` are by the names that the config gives them.

        Unless they are ``proven`` to score some model, a metric that is missing at the first one
        is a mistake in the config, which no candidate could mend.
        """
        self.bench = workbench
        self._evaluators = evaluators
        self._unproven = set() if proven else set(evaluators)
        self._clusters: dict[str, Clusters] = {}

    @property
    def deterministic(self) -> bool:
        """Whether the same recipe gets the same scores."""
        return all(each.deterministic for each in self._evaluators.values())

    def __call__(self, recipe: AnyRecipe, probe: Probe | None = None) -> Result:
        """What came of ``recipe``; without scores if a ``probe`` shows that it is dead.

        Raises:
            RecipeError: an evaluator gives no number that could count, whatever the model, or has
                not given the metric that it is asked for to any model yet.
        """
        began = perf_counter()
        try:
            model = self.bench.build(recipe)
        except (EvomergeError, MemoryError) as error:
            return Result(failure=failure_of(error), seconds={"merge": perf_counter() - began})
        seconds = {"merge": perf_counter() - began}
        with _alone(model):
            if probe is not None:
                began = perf_counter()
                failure = self._probed(model, probe)
                seconds["probe"] = perf_counter() - began
                if failure is not None:
                    return Result(failure=failure, seconds=seconds)
            return self._scored(model, seconds)

    def probed(self, prober: Prober) -> Callable[[AnyRecipe], Result]:
        """The same with a probe before it, as soon as there is one."""
        return lambda recipe: self(recipe, prober.find())

    def _probed(self, model: LoadedModel, probe: Probe) -> Failure | None:
        try:
            found = {
                name: self._evaluators[name].evaluate(model, items)
                for name, items in probe.items.items()
            }
            return probe.failure(found)
        except (EvaluationError, MemoryError) as error:
            return failure_of(error)

    def _scored(self, model: LoadedModel, seconds: Mapping[str, float]) -> Result:
        scores: dict[str, Score] = {}
        tables: list[ItemTable] = []
        began = perf_counter()
        failure = None
        with _timed(model) as forward:
            for name, evaluator in self._evaluators.items():
                try:
                    found = evaluator.evaluate(model)
                    scores |= named(name, found)
                    tables += self._tables(name, evaluator, found)
                    self._unproven.discard(name)
                except (EvaluationError, MemoryError) as error:
                    failure = self._failure(name, error)
                    break
        spent = {"forward": sum(forward), "evaluate": perf_counter() - began - sum(forward)}
        if failure is not None:
            return Result(failure=failure, seconds={**seconds, **spent})
        return Result(scores, tuple(tables), None, {**seconds, **spent})

    def _failure(self, name: str, error: Exception) -> Failure:
        if isinstance(error, UnknownMetric) and name in self._unproven:
            raise RecipeError(f"evaluator '{name}': {error}") from error
        return failure_of(error)

    def _tables(self, name: str, evaluator: Evaluator, found: Scores) -> Iterator[ItemTable]:
        clusters = self._clusters_of(name, evaluator)
        for one in found.measures:
            if one.contributions and all(map(_is_finite, one.contributions.values())):
                yield ItemTable(
                    name,
                    one.task,
                    one.metric,
                    one.filter,
                    one.aggregation,
                    found.share(one),
                    one.contributions,
                    {
                        item: c
                        for item, c in clusters.get(one.task, {}).items()
                        if item in one.contributions
                    },
                )

    def _clusters_of(self, name: str, evaluator: Evaluator) -> Clusters:
        if name not in self._clusters:
            field = evaluator.cluster
            self._clusters[name] = {} if field is None else evaluator.clusters(field)
        return self._clusters[name]


def failure_of(error: Exception) -> Failure:
    """How a trial records an error."""
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OutOfMemory | MemoryError):
        return Failure("memory", message)
    return Failure("deadline" if isinstance(error, DeadlineExceeded) else "error", message)


def named(evaluator: str, found: Scores) -> Mapping[str, Score]:
    """Every score under its name.

    The evaluator's own name is the score that counts; ``evaluator.metric`` is each of its metrics,
    ``evaluator.task.metric`` where it has several tasks. Where a metric was taken under several
    filters the first one has the plain name, and the others end in ``@filter``.

    Raises:
        RecipeError: no single number counts.
        EvaluationError: what counts is not a finite number.
    """
    if found.main is None:
        tasks = ", ".join(dict.fromkeys(one.task for one in found.measures))
        raise RecipeError(
            f"evaluators.{evaluator}: its tasks ({tasks}) have opposite directions; "
            "say with 'metric:' which number counts"
        )
    if not isfinite(found.main.value):
        raise EvaluationError(f"{evaluator}: its score is {found.main.value}, not a finite number")
    scores = {evaluator: _score(found.main)}
    several = len({one.task for one in found.measures}) > 1
    taken: Counter[str] = Counter()
    for one in found.measures:
        if not isfinite(one.value):
            continue  # a metric that is only reported may be undefined
        key = f"{evaluator}.{one.task}.{one.metric}" if several else f"{evaluator}.{one.metric}"
        taken[key] += 1
        scores[key if taken[key] == 1 else f"{key}@{one.filter}"] = _score(one)
    return scores


def _is_finite(contribution: Contribution) -> bool:
    """Whether all numbers in what an item contributed are."""
    if isinstance(contribution, int | float):
        return isfinite(contribution)
    if isinstance(contribution, str) or contribution is None:
        return True
    return all(map(_is_finite, contribution))


def _score(measure: Measure) -> Score:
    return Score(float(measure.value), measure.higher_is_better, measure.size)


@contextmanager
def _alone(model: LoadedModel) -> Iterator[None]:
    """Scores a small model on one thread of the CPU.

    A forward pass of microseconds is not worth sharing, and on a busy machine the threads wait for
    each other: a hundred times as long was seen. It depends on the model alone, as the number of
    threads decides the last bits of a score.
    """
    import torch

    before = torch.get_num_threads()
    small = sum(weight.numel() for weight in model.model.parameters()) < SMALL
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _timed(model: LoadedModel) -> Iterator[list[float]]:
    """Collects the seconds of the forward passes of ``model``."""
    found: list[float] = []
    starts: list[float] = []

    def before(_: Module, __: object) -> None:
        starts.append(perf_counter())

    def after(_: Module, __: object, ___: object) -> None:
        found.append(perf_counter() - starts.pop())

    hooks = [
        model.model.register_forward_pre_hook(before),
        model.model.register_forward_hook(after),
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
