"""A function of the user's own: ``evaluators/length_penalty.py:score``.

It receives the model and the tokenizer, and returns a number, per-item numbers, or a mapping of
names to either. What has per-item numbers counts as their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from evomerge.errors import EvaluationError, unknown
from evomerge.evaluators.base import Items, LoadedModel, Tick, evaluator, indices, no_tick
from evomerge.evaluators.scores import UNFILTERED, Measure, Scores, main_measure
from evomerge.evaluators.user_code import describe_failure, load_function


@evaluator("python")
@dataclass(frozen=True, kw_only=True)
class Python:
    """Scores a model by a Python function.

    Attributes:
        function: ``path/to/file.py:name``, called with the ``transformers`` model, the tokenizer
            and ``arguments``. If it has a parameter ``items``, it is also given the indices of
            the items to score, or None for all; if not, and only some are to be scored, its
            per-item numbers are picked from.
        goal: whether its numbers are better high or low.
        metric: the name that counts, of those it returns; by default the first. Numbers without a
            name go by the function's.
        arguments: further keywords of the function.
    """

    function: str
    goal: Literal["max", "min"] = "max"
    metric: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    def evaluate(
        self, model: LoadedModel, items: Items | None = None, *, tick: Tick = no_tick
    ) -> Scores:
        """Calls the function once.

        Raises:
            EvaluationError: the file does not import, has no such function, the function raises,
                or what it returns is not a number, numbers, or a mapping of names to them.
        """
        tick()
        wanted = indices(items, self.function)
        found = self._call(model, wanted)
        by_name = found if isinstance(found, Mapping) else {self._loaded.__name__: found}
        measures = [self._measure(str(name), value, wanted) for name, value in by_name.items()]
        names = [one.metric for one in measures]
        if not measures or self.metric not in {None, *names}:
            raise EvaluationError(f"{self.function}: {unknown('metric', str(self.metric), names)}")
        main = measures[names.index(self.metric) if self.metric else 0]
        return Scores(tuple(measures), main_measure([main], needed=True))

    @cached_property
    def _loaded(self) -> Callable[..., object]:
        function = load_function(self.function)
        try:
            signature(function).bind(None, None, **self.arguments)
        except TypeError as error:
            form = f"{function.__name__}{signature(function)}"
            raise EvaluationError(
                f"{self.function}: {error}; expected {form}, called with model, tokenizer and "
                f"{', '.join(self.arguments) or 'no arguments'}"
            ) from error
        return function

    @property
    def _takes_items(self) -> bool:
        return "items" in signature(self._loaded).parameters

    def _call(self, model: LoadedModel, wanted: Sequence[int] | None) -> object:
        keywords = dict(self.arguments) | ({"items": wanted} if self._takes_items else {})
        function, file = self._loaded, Path(self.function.rpartition(":")[0])
        try:
            return function(model.model, model.tokenizer, **keywords)
        except Exception as error:  # the user's code may raise anything
            what = f"it cannot score {model.label}"
            raise EvaluationError(describe_failure(file, what, error)) from error

    def _measure(self, name: str, value: object, wanted: Sequence[int] | None) -> Measure:
        numbers = self._numbers(name, value)
        contributions: Mapping[int, float] = {}
        if isinstance(numbers, list):
            contributions = self._by_item(name, numbers, wanted)
            numbers = sum(contributions.values()) / len(contributions)
        elif wanted is not None and not self._takes_items:
            raise EvaluationError(
                f"{self.function}: '{name}' is one number, of all items; to be scored on some of "
                "them, return a number for each, or take the parameter items"
            )
        return Measure(
            task=Path(self.function.rpartition(":")[0]).stem,
            metric=name,
            filter=UNFILTERED,
            value=numbers,
            higher_is_better=self.goal == "max",
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
            f"{self.function}: '{name}' is {type(value).__name__} {str(value)[:40]!r}; "
            "expected a number, or a list with a number for each item"
        )

    def _by_item(
        self, name: str, numbers: Sequence[float], wanted: Sequence[int] | None
    ) -> Mapping[int, float]:
        if wanted is None:
            return dict(enumerate(numbers))
        if self._takes_items:
            if len(numbers) != len(wanted):
                raise EvaluationError(
                    f"{self.function}: '{name}' has {len(numbers)} numbers; "
                    f"it was given {len(wanted)} items"
                )
            return dict(zip(wanted, numbers, strict=True))
        if not set(wanted) <= set(range(len(numbers))):
            raise EvaluationError(
                f"{self.function}: no item {max(wanted)}; it has {len(numbers)}, counted from 0"
            )
        return {index: numbers[index] for index in wanted}
