"""A few items before all of them: what tells a dead candidate at a fraction of the price.

Most stacks of layers that chance puts together are worth nothing, and show it at once. The items
are always the same, evenly spread over each task; which there are, the first trial with scores
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from evomerge.errors import EvaluationError, RecipeError, unknown
from evomerge.evaluators.scores import Scores
from evomerge.goals import Bound
from evomerge.statistics.aggregation import AGGREGATIONS
from evomerge.study import Study
from evomerge.trial import (
    BASELINES,
    DEAD,
    SEARCH,
    Contribution,
    Failure,
    ItemTable,
    Result,
    Score,
    behind,
)

# Task, metric and filter of a table.
Address = tuple[str, str, str]


@dataclass(frozen=True)
class Part:
    """What one table adds to the score of a probe.

    Attributes:
        address: of the table.
        share: its weight.
        aggregation: how contributions become its value.
        items: those that are looked at.
    """

    address: Address
    share: float
    aggregation: str
    items: tuple[int, ...]

    def value(self, contributions: Mapping[int, Contribution]) -> float:
        """What it adds, given what every item contributed.

        Raises:
            TypeError, ValueError: an item contributed what cannot be aggregated.
        """
        aggregation = AGGREGATIONS[self.aggregation]
        sums = aggregation.parts([contributions[item] for item in self.items]).sum(axis=0)
        return self.share * float(aggregation.value(sums))


@dataclass(frozen=True)
class Probe:
    """A score on a few items, and what it must reach.

    Attributes:
        parts: what the score is made of.
        bound: a candidate that misses it is dead; it has the name of the score.
    """

    parts: tuple[Part, ...]
    bound: Bound

    @property
    def evaluator(self) -> str:
        """The name of the evaluator that is asked."""
        return evaluator_of(self.bound.name)

    @property
    def items(self) -> Mapping[str, Sequence[int]]:
        """The items by task."""
        return {part.address[0]: part.items for part in self.parts}

    @property
    def size(self) -> int:
        """The number of its items."""
        return sum(map(len, self.items.values()))

    @property
    def limit(self) -> str:
        """What the dead have: ``below 0.1``; empty where none can be."""
        return _told(self.bound)

    def failure(self, found: Scores) -> Failure | None:
        """Why the candidate with these scores on the items is dead; None if it is alive.

        Raises:
            EvaluationError: its score is not a number.
        """
        name = self.bound.name
        given = {tuple(measure.address): measure.contributions for measure in found.measures}
        try:
            value = sum(part.value(given[part.address]) for part in self.parts)
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(f"probe: '{name}' has no number: {error}") from error
        if not isfinite(value):
            raise EvaluationError(f"probe: '{name}' is {value}, not a finite number")
        if not self.bound.violation(value):
            return None
        return Failure(DEAD, f"{name} is {value:.4g} on {self.size} items, {self.limit}")

    def __str__(self) -> str:
        where = f"{self.bound.name} on {self.size} items"
        if not self.limit:
            return f"the best baseline has 0 in {where}: no candidate is dead"
        return f"a candidate is dead {self.limit} in {where}"


@dataclass(frozen=True)
class Probing:
    """How a config wants dead candidates told.

    Attributes:
        score: which score, by the name that objectives give it.
        items: on so many items, at least one of each task.
        bound: what it must reach; None for what ``share`` says.
        share: of the best baseline on the same items, what a candidate must reach; in (0, 1).
            What is better low may be so many times larger.
    """

    score: str
    items: int
    bound: Bound | None = None
    share: float = 0.5

    def __str__(self) -> str:
        limit = f"worse than {self.share:g} of the best baseline"
        if self.bound is not None:
            limit = _told(self.bound)
        return f"{self.score} on {self.items} items; dead is what is {limit}"

    def check(self, result: Result) -> None:
        """Refuses a probe that cannot be made of such scores.

        Raises:
            RecipeError: there is no such score, it has no items, it cannot be computed again for
                some of them, or its better end is the other one.
        """
        self._parts(result.scores, result.tables)
        higher = result.scores[self.score].higher_is_better
        if self.bound is not None and higher is (self.bound.least is None):
            given, right, end = ("max", "min", "high") if higher else ("min", "max", "low")
            raise RecipeError(f"probe.{given}: '{self.score}' is better {end}; give {right}")

    def probe(self, study: Study) -> Probe | None:
        """The probe of a study; None before a trial of it shows the items, and what they score.

        Raises:
            RecipeError: as `check`.
            StudyError: the items of a trial cannot be read.
        """
        first = next(self._scored(study, (BASELINES, SEARCH)), None)
        if first is None:
            return None
        scores, tables = first
        self.check(Result(scores, tables))
        parts = self._parts(scores, tables)
        if self.bound is not None:
            return Probe(parts, self.bound)
        values = [_value(parts, found) for _, found in self._scored(study, (BASELINES,))]
        higher = scores[self.score].higher_is_better
        return Probe(parts, _limit(self.score, values, self.share, higher=higher))

    def _scored(
        self, study: Study, stages: Sequence[str]
    ) -> Iterator[tuple[Mapping[str, Score], tuple[ItemTable, ...]]]:
        """Scores and tables of the trials that have the score of the probe, in order."""
        for trial in study.trials:
            if trial.stage in stages and self.score in trial.scores:
                tables = study.tables(trial.number)
                if any(behind(self.score, tables)):
                    yield trial.scores, tables

    def _parts(self, scores: Iterable[str], tables: Sequence[ItemTable]) -> tuple[Part, ...]:
        if self.score not in scores:
            raise RecipeError(f"probe.score: {unknown('score', self.score, scores)}")
        found = list(behind(self.score, tables))
        if not found:
            raise RecipeError(
                f"probe.score: '{self.score}' is one number, without items; name a score that has "
                "one for each item"
            )
        counts = _shared_out(self.items, len(found))
        parts = [
            Part(_address(table), share, table.aggregation, _spread(table.contributions, count))
            for (table, share), count in zip(found, counts, strict=True)
        ]
        for part in parts:
            if part.aggregation not in AGGREGATIONS:
                raise RecipeError(
                    f"probe.score: '{self.score}' is a '{part.aggregation}', which cannot be "
                    f"compared on some of its items; name one that is {', '.join(AGGREGATIONS)}"
                )
        return tuple(parts)


class Prober:
    """The probe of a study that is being written, once there is one."""

    def __init__(self, probing: Probing, study: Study) -> None:
        self._probing, self._study = probing, study
        self._probe: Probe | None = None

    def find(self) -> Probe | None:
        """The probe; None before a trial has scores. Once there, it stays the same."""
        if self._probe is None:
            self._probe = self._probing.probe(self._study)
        return self._probe


def evaluator_of(score: str) -> str:
    """The name of the evaluator that gives a score: ``sums`` of ``sums.acc``."""
    return score.partition(".")[0]


def _told(bound: Bound) -> str:
    if bound.least is not None:
        return f"below {bound.least:.4g}"
    return "" if bound.most is None else f"above {bound.most:.4g}"


def _value(parts: Sequence[Part], tables: Sequence[ItemTable]) -> float:
    """The score on the items of the probe, of a model that was scored on all."""
    given = {_address(table): table.contributions for table in tables}
    return sum(part.value(given[part.address]) for part in parts)


def _limit(score: str, values: Sequence[float], share: float, *, higher: bool) -> Bound:
    """The share of the best value: nearer to zero for a gain, further from it for a loss.

    There is no limit where nothing was scored, and no share of a loss that is zero.
    """
    best = max(values, default=0.0) if higher else min(values, default=0.0)
    if not best:
        return Bound(score)
    gained = (best > 0) is higher
    limit = best * share if gained else best / share
    return Bound(score, least=limit) if higher else Bound(score, most=limit)


def _address(table: ItemTable) -> Address:
    return table.task, table.metric, table.filter


def _shared_out(items: int, tasks: int) -> list[int]:
    """How many items of each task: as many of each, the first ones of the rest, at least one."""
    each, rest = divmod(items, tasks)
    return [max(1, each + (number < rest)) for number in range(tasks)]


def _spread(items: Iterable[int], count: int) -> tuple[int, ...]:
    """So many of the items, or all, at equal distances."""
    there = sorted(items)
    most = min(count, len(there))
    return tuple(there[(2 * number + 1) * len(there) // (2 * most)] for number in range(most))
