"""From what a user's function or program gave to measures.

It may be a number, a list with a number for each item, or a mapping of names to either. What has
per-item numbers counts as their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.errors import EvaluationError, UnknownMetric, unknown
from evomerge.evaluators.scores import UNFILTERED, Measure, Scores, main_measure


@dataclass(frozen=True)
class Returned:
    """What the user's code gave, and how it is to be read.

    Attributes:
        where: what messages call the code.
        task: what tables call it.
        higher_is_better: the direction of all its numbers.
        wanted: the items to score; None for all.
        asked: whether the code knew ``wanted``: True if it gives their numbers, in that order;
            False if it gives all numbers, to be picked from; None if it gives either.
    """

    where: str
    task: str
    higher_is_better: bool
    wanted: Sequence[int] | None
    asked: bool | None

    def scores(self, found: object, unnamed: str, metric: str | None) -> Scores:
        """Every measure in ``found``, and among them the one that counts.

        Args:
            found: what the code gave.
            unnamed: the name of numbers that have none.
            metric: the name that counts; by default the first.

        Raises:
            UnknownMetric: it has no such name, or none.
            EvaluationError: it is not of numbers, or not of the numbers that were wanted.
        """
        by_name = found if isinstance(found, Mapping) else {unnamed: found}
        measures = [self._measure(str(name), value) for name, value in by_name.items()]
        names = [one.metric for one in measures]
        if not measures or metric not in {None, *names}:
            raise UnknownMetric(f"{self.where}: {unknown('metric', str(metric), names)}")
        main = measures[names.index(metric) if metric else 0]
        return Scores(tuple(measures), main_measure([main], needed=True))

    def _measure(self, name: str, value: object) -> Measure:
        numbers = self._numbers(name, value)
        contributions: Mapping[int, float] = {}
        if isinstance(numbers, list):
            contributions = self._by_item(name, numbers)
            numbers = sum(contributions.values()) / len(contributions)
        elif self.wanted is not None and not self.asked:
            hint = ", or take the parameter items" if self.asked is False else ""
            raise EvaluationError(
                f"{self.where}: '{name}' is one number, of all items; to be scored on some of "
                f"them, give a number for each{hint}"
            )
        return Measure(
            task=self.task,
            metric=name,
            filter=UNFILTERED,
            value=numbers,
            higher_is_better=self.higher_is_better,
            size=len(contributions) or 1,
            contributions=contributions,
        )

    def _numbers(self, name: str, value: object) -> float | list[float]:
        """``value`` in Python's own types: NumPy's and torch's have ``tolist``."""
        plain = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(plain, int | float):
            return float(plain)
        if isinstance(plain, list | tuple) and plain:
            numbers = [self._numbers(name, one) for one in plain]
            if all(isinstance(one, float) for one in numbers):
                return [one for one in numbers if isinstance(one, float)]
        raise EvaluationError(
            f"{self.where}: '{name}' is {type(value).__name__} {str(value)[:40]!r}; "
            "expected a number, or a list with a number for each item"
        )

    def _by_item(self, name: str, numbers: Sequence[float]) -> Mapping[int, float]:
        wanted = self.wanted
        if wanted is None:
            return dict(enumerate(numbers))
        if self.asked or (self.asked is None and len(numbers) == len(wanted)):
            if len(numbers) != len(wanted):
                raise EvaluationError(
                    f"{self.where}: '{name}' has {len(numbers)} numbers; "
                    f"it was given {len(wanted)} items"
                )
            return dict(zip(wanted, numbers, strict=True))
        if not set(wanted) <= set(range(len(numbers))):
            raise EvaluationError(
                f"{self.where}: no item {max(wanted)}; it has {len(numbers)}, counted from 0"
            )
        return {index: numbers[index] for index in wanted}
