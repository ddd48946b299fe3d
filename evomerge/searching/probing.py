"""From what a config wants of a probe to the probe: which items, and what is to be reached.

Items are evenly spread over each task. Which there are, the first trial with scores says; what the
best baseline has on them, the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.errors import RecipeError, unknown
from evomerge.goals import Bound
from evomerge.searching.probe import Address, Part, Probe, limit_of
from evomerge.statistics.aggregation import AGGREGATIONS
from evomerge.study import Study
from evomerge.trial import BASELINES, SEARCH, ItemTable, Result, Score, behind

OBJECTIVE = "the objective"


@dataclass(frozen=True)
class Probing:
    """How a config wants dead candidates told.

    Attributes:
        weights: the scores that are looked at, by the names that objectives give them. One is
            taken as it is; several are summed with these weights, what is better low as negative.
        items: on so many items, at least one of each task.
        bound: what the number must reach; None for what ``share`` says.
        share: of the best baseline on the same items, what a candidate must reach; in (0, 1).
            What is better low may be so many times larger.
    """

    weights: Mapping[str, float]
    items: int
    bound: Bound | None = None
    share: float = 0.5

    @property
    def name(self) -> str:
        """What messages call the number."""
        return next(iter(self.weights)) if len(self.weights) == 1 else OBJECTIVE

    def __str__(self) -> str:
        limit = f"worse than {self.share:g} of the best baseline"
        if self.bound is not None:
            limit = limit_of(self.bound)
        return f"{self.name} on {self.items} items; dead is what is {limit}"

    def check(self, result: Result) -> None:
        """Refuses a probe that cannot be made of such scores.

        Raises:
            RecipeError: there is no such score, it has no items, it cannot be computed again for
                some of them, or the better end of the number is the other one.
        """
        self._parts(result.scores, result.tables)
        higher = self._higher(result.scores)
        if self.bound is not None and higher is (self.bound.least is None):
            given, right, end = ("max", "min", "high") if higher else ("min", "max", "low")
            raise RecipeError(f"probe.{given}: {self.name} is better {end}; give {right}")

    def probe(self, study: Study) -> Probe | None:
        """The probe of a study; None before a trial of it shows the items, and what they score.

        Raises:
            RecipeError: as `check`.
            StudyError: the items of a trial cannot be read.
        """
        first = next(self._scored(study, (BASELINES, SEARCH)), None)
        if first is None:
            return None
        self.check(first)
        parts = self._parts(first.scores, first.tables)
        if self.bound is not None:
            return Probe(parts, self.bound)
        values = [_value(parts, found.tables) for found in self._scored(study, (BASELINES,))]
        higher = self._higher(first.scores)
        return Probe(parts, _limit(self.name, values, self.share, higher=higher))

    def _higher(self, scores: Mapping[str, Score]) -> bool:
        """Whether the number is better high: a sum of several is made so."""
        return len(self.weights) > 1 or scores[self.name].higher_is_better

    def _scored(self, study: Study, stages: Sequence[str]) -> Iterator[Result]:
        """What the trials gave that have the scores of the probe and their items, in order."""
        for trial in study.trials:
            if trial.stage in stages and self.weights.keys() <= trial.scores.keys():
                tables = study.tables(trial.number)
                if all(any(behind(name, tables)) for name in self.weights):
                    yield Result(trial.scores, tables)

    def _parts(self, scores: Mapping[str, Score], tables: Sequence[ItemTable]) -> tuple[Part, ...]:
        weighted: list[tuple[ItemTable, float]] = []
        for name, weight in self.weights.items():
            sign = 1.0
            if len(self.weights) > 1:
                sign = weight if name in scores and scores[name].higher_is_better else -weight
            weighted += [(table, sign * share) for table, share in _found(name, scores, tables)]
        items = _chosen([table for table, _ in weighted], self.items)
        return tuple(
            Part(_address(table), weight, table.aggregation, items[table.evaluator, table.task])
            for table, weight in weighted
        )


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


def _found(
    name: str, scores: Iterable[str], tables: Sequence[ItemTable]
) -> list[tuple[ItemTable, float]]:
    """The tables behind a score, and the weight of each in it."""
    if name not in scores:
        raise RecipeError(f"probe.score: {unknown('score', name, scores)}")
    found = list(behind(name, tables))
    if not found:
        raise RecipeError(
            f"probe.score: '{name}' is one number, without items; name a score that has one for "
            "each item"
        )
    for table, _ in found:
        if table.aggregation not in AGGREGATIONS:
            raise RecipeError(
                f"probe.score: '{name}' is a '{table.aggregation}', which cannot be compared on "
                f"some of its items; name one that is {', '.join(AGGREGATIONS)}"
            )
    return found


def _value(parts: Sequence[Part], tables: Sequence[ItemTable]) -> float:
    """The number on the items of the probe, of a model that was scored on all."""
    given = {_address(table): table.contributions for table in tables}
    return sum(part.value(given[part.address]) for part in parts)


def _limit(name: str, values: Sequence[float], share: float, *, higher: bool) -> Bound:
    """The share of the best value: nearer to zero for a gain, further from it for a loss.

    There is no limit where nothing was scored, and no share of a loss that is zero.
    """
    best = max(values, default=0.0) if higher else min(values, default=0.0)
    if not best:
        return Bound(name)
    gained = (best > 0) is higher
    limit = best * share if gained else best / share
    return Bound(name, least=limit) if higher else Bound(name, most=limit)


def _address(table: ItemTable) -> Address:
    return table.evaluator, table.task, table.metric, table.filter


def _chosen(tables: Sequence[ItemTable], items: int) -> Mapping[tuple[str, str], tuple[int, ...]]:
    """By evaluator and task: as many items of each, the first ones one more, at least one."""
    first: dict[tuple[str, str], ItemTable] = {}
    for table in tables:
        first.setdefault((table.evaluator, table.task), table)
    each, rest = divmod(items, len(first))
    return {
        key: _spread(table.contributions, max(1, each + (number < rest)))
        for number, (key, table) in enumerate(first.items())
    }


def _spread(items: Iterable[int], count: int) -> tuple[int, ...]:
    """So many of the items, or all, at equal distances."""
    there = sorted(items)
    most = min(count, len(there))
    return tuple(there[(2 * number + 1) * len(there) // (2 * most)] for number in range(most))
