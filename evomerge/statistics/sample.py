"""What the items of several models contribute to one number, the bigger the better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evomerge.statistics.aggregation import Aggregation
from evomerge.statistics.arrays import Floats


@dataclass(frozen=True)
class Column:
    """One metric of one task.

    Attributes:
        task: the index of the task. Columns of one task are about the same units.
        weight: of the metric's value in the number; negative where low is better.
        aggregation: how its items become its value.
        parts: ``(units, models, 2)``: what each unit of the task adds to the two sums.
    """

    task: int
    weight: float
    aggregation: Aggregation
    parts: Floats


@dataclass(frozen=True)
class Sample:
    """Several models on the same units. A unit is an item, or a group of items that depend.

    Attributes:
        units: how many there are, task by task.
        columns: what is measured.
        constants: ``(models,)``: what the number holds beside, which no choice of items changes.
        grouped: whether a unit may be several items.
    """

    units: tuple[int, ...]
    columns: tuple[Column, ...]
    constants: Floats
    grouped: bool = False

    def pair(self, first: int, second: int) -> Sample:
        """The same of two models only."""
        both = [first, second]
        columns = tuple(replace(each, parts=each.parts[:, both]) for each in self.columns)
        return replace(self, columns=columns, constants=self.constants[both])

    def values(self, counts: Sequence[Floats]) -> Floats:
        """``(draws, models)``: the number, if each unit were there so many times.

        Args:
            counts: task by task, ``(draws, units)``.
        """
        total = np.broadcast_to(self.constants, (len(counts[0]), len(self.constants))).copy()
        for each in self.columns:
            units, models, _ = each.parts.shape
            sums = counts[each.task] @ each.parts.reshape(units, models * 2)
            total += each.weight * each.aggregation.value(sums.reshape(-1, models, 2))
        return total

    @cached_property
    def observed(self) -> Floats:
        """``(models,)``: the number as it was measured."""
        if not self.columns:
            return self.constants
        return self.values([np.ones((1, units)) for units in self.units])[0]

    @cached_property
    def share(self) -> float | None:
        """What an item that is right adds to the number, if all add the same.

        None where they do not, or where some are more than right or wrong: then the items cannot
        simply be counted.
        """
        tasks = [each.task for each in self.columns]
        shares = [abs(each.weight) / max(1, len(each.parts)) for each in self.columns]
        countable = (
            bool(shares)
            and not self.grouped
            and len(set(tasks)) == len(tasks)
            and np.ptp(self.constants) == 0
            and np.allclose(shares, shares[0], rtol=1e-9, atol=0)
            and all(each.aggregation.plain for each in self.columns)
            and all(np.isin(each.parts[..., 0], (0.0, 1.0)).all() for each in self.columns)
        )
        return shares[0] if countable else None

    def discordant(self) -> tuple[int, int]:
        """Of two models: on how many units the first is better, on how many the second."""
        steps = np.concatenate(
            [
                np.sign(each.weight) * (each.parts[:, 0, 0] - each.parts[:, 1, 0])
                for each in self.columns
            ]
        )
        return int((steps > 0).sum()), int((steps < 0).sum())
