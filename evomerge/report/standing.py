"""Where a search stands: the best so far, the front, the failures, told trial by trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from evomerge.front import dominates
from evomerge.goals import Goals
from evomerge.trial import BASELINES, SEARCH, Score, Trial


class Standing:
    """What is known after each trial. One that is told again changes nothing.

    Attributes:
        goals: what better means.
        counts: how many trials each stage has.
        failed: the trials without scores.
        front: the feasible trials of baselines and search that no other one dominates; of those
            that built one recipe, the first.
    """

    def __init__(self, goals: Goals, trials: Iterable[Trial] = ()) -> None:
        """``trials`` are those to begin with."""
        self.goals = goals
        self.counts: Counter[str] = Counter()
        self.failed: list[Trial] = []
        self.front: list[Trial] = []
        self._told: set[int] = set()
        self._best: dict[str, Trial] = {}
        self._bests: dict[str, dict[str, Score]] = {}
        for trial in trials:
            self.tell(trial)

    def __contains__(self, number: int) -> bool:
        return number in self._told

    def tell(self, trial: Trial) -> None:
        """Learns of a trial."""
        if trial.number in self._told:
            return
        self._told.add(trial.number)
        self.counts[trial.stage] += 1
        if trial.failure is not None:
            self.failed.append(trial)
        if self.goals.outcome(trial).feasible:
            self._compare(trial)

    def best(self, stage: str = SEARCH) -> Trial | None:
        """The feasible trial of the least loss, the first of equals.

        None if there is none, or if several losses stay apart.
        """
        return self._best.get(stage)

    def bests(self, stage: str = SEARCH) -> dict[str, Score]:
        """The best score that any feasible trial of the stage has, by objective."""
        return self._bests.get(stage, {})

    def total(self, trial: Trial) -> float:
        """The objective of a trial with scores; of several that are summed, their sum.

        A sum is to be made large: it takes objectives that are to be lowered as negative.
        """
        weights = self.goals.weights
        if len(weights) == 1:
            return trial.scores[next(iter(weights))].value
        return -sum(self.goals.losses(trial.scores))

    def _compare(self, trial: Trial) -> None:
        stage, losses = trial.stage, self.goals.losses(trial.scores)
        bests = self._bests.setdefault(stage, {})
        for name in self.goals.weights:
            bests[name] = _better(bests.get(name), trial.scores[name])
        rival = self._best.get(stage)
        if not self.goals.pareto and (rival is None or losses < self.goals.losses(rival.scores)):
            self._best[stage] = trial
        if stage not in (BASELINES, SEARCH) or trial.recalled is not None:
            return
        rivals = [(each, self.goals.losses(each.scores)) for each in self.front]
        if not any(dominates(theirs, losses) for _, theirs in rivals):
            self.front = [each for each, theirs in rivals if not dominates(losses, theirs)]
            self.front.append(trial)


def _better(old: Score | None, new: Score) -> Score:
    if old is None or ((new.value > old.value) is new.higher_is_better and new.value != old.value):
        return new
    return old
