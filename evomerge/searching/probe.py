"""A few items before all of them: what tells a dead candidate at a fraction of the price.

Most stacks of layers that chance puts together are worth nothing, and show it at once. The items
are always the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from evomerge.errors import EvaluationError
from evomerge.evaluators.scores import Scores
from evomerge.goals import Bound
from evomerge.statistics.aggregation import AGGREGATIONS
from evomerge.trial import DEAD, Contribution, Failure

# Evaluator, task, metric and filter of a table.
Address = tuple[str, str, str, str]


@dataclass(frozen=True)
class Part:
    """What one table adds to the number of a probe.

    Attributes:
        address: of the table.
        weight: of its value, below 0 where a loss is taken off a gain.
        aggregation: how contributions become its value.
        items: those that are looked at.
    """

    address: Address
    weight: float
    aggregation: str
    items: tuple[int, ...]

    def value(self, contributions: Mapping[int, Contribution]) -> float:
        """What it adds, given what every item contributed.

        Raises:
            KeyError: an item is missing.
            TypeError, ValueError: an item contributed what cannot be aggregated.
        """
        aggregation = AGGREGATIONS[self.aggregation]
        sums = aggregation.parts([contributions[item] for item in self.items]).sum(axis=0)
        return self.weight * float(aggregation.value(sums))


@dataclass(frozen=True)
class Probe:
    """A number from a few items, and what it must reach.

    Attributes:
        parts: what the number is made of.
        bound: a candidate that misses it is dead; its name is that of the number.
    """

    parts: tuple[Part, ...]
    bound: Bound

    @property
    def items(self) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """By evaluator, by task, the items that are asked."""
        found: dict[str, dict[str, Sequence[int]]] = {}
        for part in self.parts:
            evaluator, task, *_ = part.address
            found.setdefault(evaluator, {})[task] = part.items
        return found

    @property
    def size(self) -> int:
        """The number of its items."""
        return sum(len(items) for by_task in self.items.values() for items in by_task.values())

    @property
    def limit(self) -> str:
        """What the dead have, in words; empty where none can be."""
        return limit_of(self.bound)

    def failure(self, found: Mapping[str, Scores]) -> Failure | None:
        """Why the candidate with these scores on the items is dead; None if it is alive.

        Args:
            found: what each evaluator found on its items.

        Raises:
            EvaluationError: there is no number.
        """
        given = {
            (name, *measure.address): measure.contributions
            for name, scores in found.items()
            for measure in scores.measures
        }
        try:
            value = sum(part.value(given[part.address]) for part in self.parts)
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(f"probe: {self.bound.name} has no number: {error}") from error
        if not isfinite(value):
            raise EvaluationError(f"probe: {self.bound.name} is {value}, not a finite number")
        if not self.bound.violation(value):
            return None
        where = f"{self.bound.name} is {value:.4g} on {self.size} items"
        return Failure(DEAD, f"{where}, {self.limit}")

    def __str__(self) -> str:
        where = f"{self.bound.name} on {self.size} items"
        if not self.limit:
            return f"the best baseline has 0 in {where}: no candidate is dead"
        return f"a candidate is dead {self.limit} in {where}"


def limit_of(bound: Bound) -> str:
    """What the dead have, in words: ``below 0.1``; empty where none can be."""
    if bound.least is not None:
        return f"below {bound.least:.4g}"
    return "" if bound.most is None else f"above {bound.most:.4g}"
