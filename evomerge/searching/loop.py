"""The loop: ask, fill, score, record, tell. To resume is to run it again over recorded trials.

Nothing here knows models, files of weights or devices: a template fills recipes, a function scores
them, a study records them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from time import perf_counter

from evomerge.errors import SearchError
from evomerge.goals import Goals
from evomerge.optimizers.base import Exhausted, Optimizer
from evomerge.searching.budget import Budget, spent
from evomerge.searching.running import Runner
from evomerge.space import FloatDimension, Space
from evomerge.template.filling import Filling
from evomerge.trial import SEARCH, Point, Trial

# Another machine's linear algebra moves a proposal by rounding errors: by this share of a range.
DRIFT = 1e-5


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
                runner.watcher.ended(recorded[number])
                continue
            ended = spent(budget, trials, runner.study.trials, self.goals)
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
