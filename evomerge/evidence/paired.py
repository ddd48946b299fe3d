"""The items of several models, side by side, as contributions to one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np

from evomerge.statistics.aggregation import AGGREGATIONS, Aggregation
from evomerge.statistics.arrays import Floats
from evomerge.statistics.sample import Column, Sample
from evomerge.trial import Contribution, ItemTable, Trial, behind

# How far a score may lie from what its items add up to: rounding, and items in another order.
ROUNDING = 1e-6


class UntestableError(Exception):
    """Why these models cannot be compared item by item: a sentence for the report."""


@dataclass(frozen=True)
class Scored:
    """One model's scores and the items behind them."""

    trial: Trial
    tables: Sequence[ItemTable]


@dataclass(frozen=True)
class _Part:
    """One table of every model, and the weight of its value in the number."""

    weight: float
    tables: Sequence[ItemTable]

    @property
    def name(self) -> str:
        """What people call it."""
        first = self.tables[0]
        return f"{first.evaluator}: {first.task}, {first.metric}"


def sample_of(models: Sequence[Scored], factors: Mapping[str, float]) -> Sample:
    """What the items of ``models`` contribute to the sum of ``factors`` times scores.

    Items of one task are the same units, whichever evaluators asked about them. What all models
    have in common of a score without items is left out: only differences count.

    Raises:
        UntestableError: a score has no items, or not the same for all models, or they do not add
            up to it, or its aggregation is not one that can be computed again.
    """
    constants = np.zeros(len(models))
    parts: dict[str, list[_Part]] = {}
    for name, factor in factors.items():
        tables = [list(behind(name, each.tables)) for each in models]
        if any(tables):
            parts[name] = _parts(name, factor, tables)
        else:
            constants += factor * _constant(name, models)
    units = _units([each for several in parts.values() for each in several])
    counts = tuple(len(set(places.values())) for places in units.values())
    grouped = any(len(set(places.values())) < len(places) for places in units.values())
    columns: list[Column] = []
    for name, several in parts.items():
        mine = [_column(part, list(units), units[part.tables[0].task]) for part in several]
        alone = Sample(counts, tuple(mine), np.zeros(len(models)))
        _check_sum(name, alone.observed, models, factors[name])
        columns += mine
    return Sample(counts, tuple(columns), constants, grouped)


def count_items(models: Sequence[Scored], factors: Mapping[str, float]) -> int:
    """How many items of the tasks there are behind the scores of the first model."""
    tables = [table for name in factors for table, _ in behind(name, models[0].tables)]
    items = {(table.task, item) for table in tables for item in table.contributions}
    return len(items)


def _parts(
    name: str, factor: float, tables: Sequence[Sequence[tuple[ItemTable, float]]]
) -> list[_Part]:
    if len({tuple(_key(table) for table, _ in each) for each in tables}) > 1:
        raise UntestableError(f"'{name}' was not taken from the same tasks for all models")
    parts = []
    for row in zip(*tables, strict=True):
        part = _Part(factor * row[0][1], [table for table, _ in row])
        items = row[0][0].contributions.keys()
        if any(table.contributions.keys() != items for table in part.tables):
            raise UntestableError(f"{part.name}: the models were scored on different items")
        parts.append(part)
    return parts


def _key(table: ItemTable) -> tuple[str, str, str, str]:
    return table.task, table.metric, table.filter, table.aggregation


def _constant(name: str, models: Sequence[Scored]) -> Floats:
    """``(models,)``: the lead over the first in a score that is no estimate, such as a size."""
    scores = [each.trial.scores[name] for each in models]
    values = np.array([score.value for score in scores])
    if any(score.items for score in scores) and np.ptp(values):
        raise UntestableError(f"'{name}' is one number, without items to compare")
    return values - values[0]


def _units(parts: Sequence[_Part]) -> dict[str, dict[int, int]]:
    """By task, by item: the index of its unit."""
    groups: dict[str, dict[int, str | int]] = {}
    for part in parts:
        first = part.tables[0]
        of_task = groups.setdefault(first.task, {})
        for item in first.contributions:
            of_task.setdefault(item, item)
        of_task |= first.clusters
    return {task: _numbered(of_task) for task, of_task in groups.items()}


def _numbered(groups: Mapping[int, str | int]) -> dict[int, int]:
    places: dict[str | int, int] = {}
    return {item: places.setdefault(groups[item], len(places)) for item in sorted(groups)}


def _column(part: _Part, tasks: Sequence[str], places: Mapping[int, int]) -> Column:
    first = part.tables[0]
    aggregation = AGGREGATIONS.get(first.aggregation)
    if aggregation is None:
        raise UntestableError(
            f"{part.name}: no verdict for this aggregation, '{first.aggregation}'; "
            f"there is one for {', '.join(AGGREGATIONS)}"
        )
    items = list(first.contributions)
    units = np.array([places[item] for item in items])
    parts = np.zeros((max(places.values()) + 1, len(part.tables), 2))
    for model, table in enumerate(part.tables):
        numbers = _numbers(part, aggregation, [table.contributions[item] for item in items])
        np.add.at(parts[:, model], units, numbers)
    return Column(tasks.index(first.task), part.weight, aggregation, parts)


def _numbers(
    part: _Part, aggregation: Aggregation, contributions: Sequence[Contribution]
) -> Floats:
    """``(items, 2)``."""
    try:
        numbers = aggregation.parts(contributions)
    except (TypeError, ValueError) as error:
        raise UntestableError(f"{part.name}: {error}") from error
    if not np.isfinite(numbers).all():
        raise UntestableError(f"{part.name}: an item is not a finite number")
    return numbers


def _check_sum(name: str, sums: Floats, models: Sequence[Scored], factor: float) -> None:
    """Refuses items that do not add up: the aggregation is another than it is called."""
    for found, each in zip(sums, models, strict=True):
        expected = factor * each.trial.scores[name].value
        if not isclose(found, expected, rel_tol=ROUNDING, abs_tol=ROUNDING * abs(factor)):
            raise UntestableError(
                f"the items of '{name}' add up to {found / factor:.6g}, "
                f"but the score is {expected / factor:.6g}"
            )
