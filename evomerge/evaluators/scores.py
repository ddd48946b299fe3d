"""What an evaluation found: measures, and what each document contributed to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from evomerge.errors import EvaluationError

# What one document contributes: the number to average, or what else the aggregation takes, such
# as (log-likelihood, bytes) for bits per byte.
Contribution = float | int | str | Sequence["Contribution"] | None

UNFILTERED = "none"  # lm-eval's name for answers taken as they are


class ItemKey(NamedTuple):
    """The address of one per-item result in a run."""

    evaluator: str
    task: str
    document: int
    metric: str
    filter: str


class Address(NamedTuple):
    """What tells the measures of one evaluator apart."""

    task: str
    metric: str
    filter: str


@dataclass(frozen=True)
class Measure:
    """One metric of one task, under one filter.

    Attributes:
        task: the task, or the group of tasks.
        metric: its name, as the evaluator calls it.
        filter: what was done to the answers before they were scored.
        value: the metric over all items.
        higher_is_better: the metric's direction.
        size: how many items went into it; 0 for what is counted, and exact.
        aggregation: how ``contributions`` become ``value``: ``mean``, ``bits_per_byte``, …
        contributions: by document, what it adds; empty for groups, whose tasks hold them.
        parts: the measures whose weighted sum ``value`` is, and their weights; empty where it is
            taken from documents.
    """

    task: str
    metric: str
    filter: str
    value: float
    higher_is_better: bool
    size: int
    aggregation: str = "mean"
    contributions: Mapping[int, Contribution] = field(default_factory=dict, repr=False)
    parts: Mapping[Address, float] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> Address:
        """What tells it from the other measures of its evaluator."""
        return Address(self.task, self.metric, self.filter)


@dataclass(frozen=True)
class Scores:
    """What one evaluation found.

    Attributes:
        measures: every metric of every task, in the evaluator's order.
        main: the number that an objective reads: the metric that was asked for, or the first one,
            averaged over the tasks. None where no metric was asked for and the tasks' first ones
            have opposite directions.
    """

    measures: tuple[Measure, ...]
    main: Measure | None

    def share(self, measure: Measure) -> float:
        """The weight of ``measure`` in the main one, in [0, 1]; 0 where it is only reported.

        The main value is the sum of share times value over the measures that are taken from
        documents.
        """
        if self.main is None:
            return 0.0
        if self.main.parts:
            return self.main.parts.get(measure.address, 0.0)
        return float(measure.address == self.main.address)

    def items(self, evaluator: str) -> Iterator[tuple[ItemKey, Contribution]]:
        """Every per-item result, under the name that a config gives its evaluator."""
        for one in self.measures:
            for document, contribution in one.contributions.items():
                key = ItemKey(evaluator, one.task, document, one.metric, one.filter)
                yield key, contribution


def plain_scores(scores: Scores) -> dict[str, Any]:
    """``scores`` as data that JSON can hold; `scores_from_plain` reads it."""
    return {
        "measures": [_plain_measure(one) for one in scores.measures],
        "main": None if scores.main is None else _plain_measure(scores.main),
    }


def scores_from_plain(data: Mapping[str, Any]) -> Scores:
    """What `plain_scores` wrote, equal to what it was given."""
    measures = tuple(_measure_from_plain(one) for one in data["measures"])
    return Scores(measures, None if data["main"] is None else _measure_from_plain(data["main"]))


def _plain_measure(measure: Measure) -> dict[str, Any]:
    # JSON has no numbers and no addresses as keys.
    listed = {key: list(getattr(measure, key).items()) for key in ("contributions", "parts")}
    return {**asdict(measure), **listed}


def _measure_from_plain(data: Mapping[str, Any]) -> Measure:
    contributions = {document: _as_tuples(one) for document, one in data["contributions"]}
    parts = {Address(*address): weight for address, weight in data["parts"]}
    return Measure(**{**data, "contributions": contributions, "parts": parts})


def _as_tuples(contribution: Contribution) -> Contribution:
    if isinstance(contribution, list | tuple):
        return tuple(_as_tuples(one) for one in contribution)
    return contribution


def main_measure(chosen: Sequence[Measure], *, needed: bool) -> Measure | None:
    """The mean of the measures that count, or None where they have opposite directions.

    Raises:
        EvaluationError: it is not a number, or there is none and it is ``needed``.
    """
    first = chosen[0]
    if any(one.higher_is_better is not first.higher_is_better for one in chosen):
        if needed:
            names = ", ".join(one.task for one in chosen)
            raise EvaluationError(f"{names}: {first.metric} is not better high in all of them")
        return None
    value = sum(one.value for one in chosen) / len(chosen)
    if not isfinite(value):
        raise EvaluationError(f"{first.task}: its {first.metric} is not a number, but {value}")
    if len(chosen) == 1:
        return first
    return Measure(
        task="+".join(one.task for one in chosen),
        metric=first.metric,
        filter=first.filter,
        value=value,
        higher_is_better=first.higher_is_better,
        size=sum(one.size for one in chosen),
        aggregation="mean of tasks",
        parts={
            address: weight / len(chosen)
            for one in chosen
            for address, weight in (one.parts or {one.address: 1.0}).items()
        },
    )
