"""The loop: ask, fill, score, record, tell. To resume is to run it again over recorded trials.

Nothing here knows models, files of weights or devices: a template fills recipes, a function scores
them, a study records them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isclose
from time import perf_counter
from typing import Protocol

from evomerge.errors import SearchError
from evomerge.goals import Goals, Outcome
from evomerge.optimizers.base import Exhausted, Optimizer
from evomerge.recipe import Recipe
from evomerge.recipe.digest import digest_of
from evomerge.space import FloatDimension, Space
from evomerge.study import Study
from evomerge.trial import BASELINES, HOLDOUT, SEARCH, Point, Result, Trial

# Optimizers of a small space propose what they have proposed before. So many repeats in a row say
# that there is nothing new to be found.
MOST_REPEATS = 50
# Another machine's linear algebra moves a proposal by rounding errors: by this share of a range.
DRIFT = 1e-5
SECONDS_PER_HOUR = 3600.0

Score = Callable[[Recipe], Result]


class Filling(Protocol):
    """What the loop needs of a template."""

    @property
    def space(self) -> Space:
        """Where the points are."""

    def fill(self, point: Point) -> Recipe:
        """The recipe of a point."""

    def settle(self, point: Point) -> Point:
        """The point with what its recipe does not read at the middle of its range."""


class Watcher(Protocol):
    """Who is shown what goes on."""

    def began(self, stage: str, number: int) -> None:
        """A trial has begun."""

    def ended(self, trial: Trial) -> None:
        """A trial is recorded, or was found recorded."""

    def note(self, text: str) -> None:
        """Something to be known."""


class Unwatched:
    """Shows nothing to nobody."""

    def began(self, stage: str, number: int) -> None:
        """Nothing."""

    def ended(self, trial: Trial) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Budget:
    """When a search ends: as soon as one of these says so. None never does.

    Attributes:
        trials: so many trials of the search.
        hours: so many hours of recorded trials, all stages and resumes together.
        patience: so many trials without a better one.
        target: the objective has come so far, in its own units.
    """

    trials: int | None = None
    hours: float | None = None
    patience: int | None = None
    target: float | None = None


@dataclass(frozen=True)
class Start:
    """A recipe that is scored before the search begins.

    Attributes:
        label: what reports call it.
        recipe: what to build.
        point: where it stands in the space, if the template can express it. The optimizer is told.
        result: what is known of it already, from an earlier run.
    """

    label: str
    recipe: Recipe
    point: Point | None = None
    result: Result | None = None


class Runner:
    """Scores recipes into a study, each of them once.

    Attributes:
        study: where trials are recorded.
        watcher: who is shown what goes on.
    """

    def __init__(
        self, study: Study, score: Score, *, recalls: bool = True, watcher: Watcher | None = None
    ) -> None:
        """``recalls`` is off where an evaluator may give other numbers a second time."""
        self.study = study
        self.watcher: Watcher = watcher or Unwatched()
        self._score = score
        self._recalls = recalls
        self._known: dict[str, Trial] = {}
        self._seen = 0

    def run(self, trial: Trial, recipe: Recipe, known: Result | None = None) -> Trial:
        """Scores ``recipe``, records it as ``trial`` with what came of it, and gives that back.

        A result that is ``known`` already is recorded as it is.
        """
        self.watcher.began(trial.stage, trial.number)
        twin = self._twin(trial) if self._recalls and known is None else None
        if twin is None:
            result = self._score(recipe) if known is None else known
        else:
            result = Result(twin.scores, failure=twin.failure)
        done = replace(
            trial,
            scores=result.scores,
            failure=result.failure,
            seconds={**trial.seconds, **result.seconds},
            attempts=result.attempts,
            recalled=None if twin is None else _origin(twin),
        )
        self.study.append(done, result.tables)
        self.watcher.ended(done)
        return done

    def _twin(self, trial: Trial) -> Trial | None:
        """The trial that scored the same recipe, if its result may be taken for another's."""
        for known in self.study.trials[self._seen :]:
            if _repeatable(known):
                self._known.setdefault(digest_of(known.recipe), known)
        self._seen = len(self.study.trials)
        return self._known.get(digest_of(trial.recipe))


def run_starts(runner: Runner, starts: Sequence[Start]) -> list[Trial]:
    """Scores what the search starts from, as the first trials of the study.

    Raises:
        SearchError: the study began with others.
    """
    recorded = runner.study.stage(BASELINES)
    _check_starts(recorded, starts)
    for number, start in enumerate(starts):
        if number < len(recorded):
            runner.watcher.ended(recorded[number])
            continue
        tree = start.recipe.tree()
        trial = Trial(number, BASELINES, tree, label=start.label, point=start.point)
        recorded.append(runner.run(trial, start.recipe, start.result))
    return recorded


@dataclass(frozen=True)
class Search:
    """One stage of a study in which an optimizer proposes.

    Attributes:
        template: what points fill.
        optimizer: as it is before the first trial; warm starts have been told.
        goals: what better means.
        lookahead: how many trials may be asked before the first of them is told.
        stage: its name in the ledger.
        accept_drift: go on when a recorded point is not the one that would be asked now.
    """

    template: Filling
    optimizer: Optimizer
    goals: Goals
    lookahead: int = 1
    stage: str = SEARCH
    accept_drift: bool = False

    def run(self, runner: Runner, budget: Budget) -> str:
        """Replays what is recorded, then goes on until the budget is spent.

        Returns:
            Why it ended, for people.

        Raises:
            SearchError: a recorded trial is not the one that would be asked now.
        """
        recorded = runner.study.stage(self.stage)
        trials: list[Trial] = []
        while True:
            number = len(trials)
            if number >= self.lookahead:
                self._tell(number - self.lookahead, trials[number - self.lookahead])
            if number < len(recorded):
                self._replay(number, recorded[number])
                trials.append(recorded[number])
                continue
            ended = _spent(budget, trials, runner.study.trials, self.goals)
            if ended:
                return ended
            began = perf_counter()
            try:
                point = self.optimizer.ask(number)
            except Exhausted as end:
                return str(end)
            trials.append(self._try(runner, point, perf_counter() - began))

    def _try(self, runner: Runner, point: Point, asked: float) -> Trial:
        recipe, settled = self.template.fill(point), self.template.settle(point)
        number = len(runner.study.trials)
        trial = Trial(number, self.stage, recipe.tree(), point=settled, seconds={"ask": asked})
        return runner.run(trial, recipe)

    def _tell(self, number: int, trial: Trial) -> None:
        self.optimizer.tell(number, trial.point or {}, self.goals.outcome(trial))

    def _replay(self, number: int, trial: Trial) -> None:
        point = trial.point or {}
        asked = self.optimizer.recall(number, point)
        if asked is None or self.accept_drift:
            return
        difference = _difference(self.template.space, self.template.settle(asked), point)
        if difference:
            raise SearchError(
                f"trial {trial.number} was recorded at {difference[0]}, but this run asks for "
                f"{difference[1]};\n"
                "       the seed, the search space or the optimizer's version changed. To tell it "
                "the recorded points and go on, add --accept-drift; to start a new run from this "
                "one: evomerge search CONFIG --run NEW --warm-start OLD"
            )


def warm_up(optimizer: Optimizer, starts: Sequence[Trial], goals: Goals) -> int:
    """Tells an optimizer the trials that have a point; gives their number."""
    told = [trial for trial in starts if trial.point is not None]
    for trial in told:
        optimizer.warm(trial.point or {}, goals.outcome(trial))
    return len(told)


def _spent(budget: Budget, trials: Sequence[Trial], study: Sequence[Trial], goals: Goals) -> str:
    """Why a search ends before its next trial; empty if it goes on."""
    if budget.trials is not None and len(trials) >= budget.trials:
        return f"the budget of {budget.trials} trials is spent"
    hours = sum(sum(trial.seconds.values()) for trial in study) / SECONDS_PER_HOUR
    if budget.hours is not None and hours >= budget.hours:
        return f"the budget of {budget.hours:g} hours is spent"
    repeats = next((i for i, t in enumerate(reversed(trials)) if t.recalled is None), len(trials))
    if repeats >= MOST_REPEATS:
        return f"the last {repeats} proposals had all been scored before"
    outcomes = [goals.outcome(trial) for trial in trials]
    if budget.patience is not None and _since_better(outcomes) >= budget.patience:
        return f"{budget.patience} trials in a row found nothing better"
    if budget.target is not None and any(_reaches(budget.target, t, goals) for t in trials):
        return f"the target of {budget.target:g} is reached"
    return ""


def _since_better(outcomes: Sequence[Outcome]) -> int:
    """How many trials have gone by since the last that none before it dominates or equals."""
    best: list[tuple[float, ...]] = []
    since = 0
    for outcome in outcomes:
        since += 1
        losses = outcome.losses
        if losses is None or not outcome.feasible:
            continue
        if not any(all(a <= b for a, b in zip(old, losses, strict=True)) for old in best):
            best = [old for old in best if any(a < b for a, b in zip(old, losses, strict=True))]
            best.append(losses)
            since = 0
    return since


def _reaches(target: float, trial: Trial, goals: Goals) -> bool:
    outcome = goals.outcome(trial)
    if not outcome.feasible:
        return False
    value = sum(weight * trial.scores[name].value for name, weight in goals.weights.items())
    higher = trial.scores[next(iter(goals.weights))].higher_is_better
    return value >= target if higher else value <= target


def _origin(trial: Trial) -> int:
    """The number of the trial that was really scored."""
    return trial.number if trial.recalled is None else trial.recalled


def _repeatable(trial: Trial) -> bool:
    """Whether the same recipe would give the same again, on the items of the search."""
    passing = trial.failure is not None and trial.failure.kind != "error"
    return trial.stage != HOLDOUT and not passing


def _check_starts(recorded: Sequence[Trial], starts: Sequence[Start]) -> None:
    """Refuses to go on from other baselines than the study began with."""
    old, new = [trial.label for trial in recorded], [start.label for start in starts]
    if old != new[: len(old)]:
        raise SearchError(
            f"this study began with {', '.join(old)}, but the config asks for "
            f"{', '.join(new) or 'none'} before the search; begin a new run"
        )


def _difference(space: Space, asked: Point, recorded: Point) -> tuple[str, str] | None:
    """The first value in which two points differ by more than drift: recorded, asked."""
    for dimension in space.dimensions:
        old, new = recorded[dimension.name], asked[dimension.name]
        if isinstance(dimension, FloatDimension):
            same = isclose(dimension.encode(old), dimension.encode(new), abs_tol=DRIFT)
        else:
            same = old == new
        if not same:
            return f"{{'{dimension.name}': {old}}}", f"{{'{dimension.name}': {new}}}"
    return None
