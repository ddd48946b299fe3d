"""Scores recipes into a study, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evomerge.errors import SearchError
from evomerge.recipe import AnyRecipe
from evomerge.recipe.digest import digest_of
from evomerge.searching.watching import Unwatched, Watcher
from evomerge.study import Study
from evomerge.trial import BASELINES, DEAD, HOLDOUT, Point, Result, Trial

# Failures that come of the candidate, and would come again.
LASTING = ("error", DEAD)

Score = Callable[[AnyRecipe], Result]


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
    recipe: AnyRecipe
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

    def run(
        self, trial: Trial, recipe: AnyRecipe, known: Result | None = None, *, afresh: bool = False
    ) -> Trial:
        """Scores ``recipe``, records it as ``trial`` with what came of it, and gives that back.

        A result that is ``known`` already is recorded as it is. What is scored ``afresh`` is not
        recalled, whatever came of the same recipe before.
        """
        if known is None:
            self.watcher.began(trial.stage, trial.number)
        recalls = self._recalls and known is None and not afresh
        twin = self._twin(trial) if recalls else None
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

    def scoring_by(self, score: Score) -> Runner:
        """One that does the same, but asks another for scores."""
        return Runner(self.study, score, recalls=self._recalls, watcher=self.watcher)

    def _twin(self, trial: Trial) -> Trial | None:
        """The trial that scored the same recipe, if its result may be taken for another's."""
        for known in self.study.trials[self._seen :]:
            if _repeatable(known):
                self._remember(digest_of(known.recipe), known)
        self._seen = len(self.study.trials)
        return self._known.get(digest_of(trial.recipe))

    def _remember(self, key: str, trial: Trial) -> None:
        """The first to score a recipe stands for all, unless it failed and a later one did not."""
        before = self._known.get(key)
        if before is None or (before.failure is not None and trial.failure is None):
            self._known[key] = trial


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


def _origin(trial: Trial) -> int:
    """The number of the trial that was really scored."""
    return trial.number if trial.recalled is None else trial.recalled


def _repeatable(trial: Trial) -> bool:
    """Whether the same recipe would give the same again, on the items of the search."""
    passing = trial.failure is not None and trial.failure.kind not in LASTING
    return trial.stage != HOLDOUT and not passing


def _check_starts(recorded: Sequence[Trial], starts: Sequence[Start]) -> None:
    """Refuses to go on from other baselines than the study began with."""
    old, new = [trial.label for trial in recorded], [start.label for start in starts]
    if old != new[: len(old)]:
        raise SearchError(
            f"this study began with {', '.join(old)}, but the config asks for "
            f"{', '.join(new) or 'none'} before the search; begin a new run"
        )
