"""A function of the user's own: ``evaluators/length_penalty.py:score``.

It receives the model and the tokenizer, and returns a number, per-item numbers, or a mapping of
names to either. What has per-item numbers counts as their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Literal

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, Items, LoadedModel, Tick, evaluator, indices
from evomerge.evaluators.returned import Returned
from evomerge.evaluators.scores import Scores
from evomerge.evaluators.user_code import describe_failure, load_function


@evaluator("python")
@dataclass(frozen=True, kw_only=True)
class Python(Evaluator):
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
        deterministic: whether it gives the same weights the same numbers. Say false if it draws
            at random or measures time: its results are then never recalled.
    """

    paths: ClassVar[tuple[str, ...]] = ("function",)

    function: str
    goal: Literal["max", "min"] = "max"
    metric: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    deterministic: bool = True

    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Calls the function once, between two ticks.

        Raises:
            EvaluationError: the file does not import, has no such function, the function raises,
                or what it returns is not a number, numbers, or a mapping of names to them.
        """
        tick()
        wanted = indices(items, self.function)
        found = self._call(model, wanted)
        tick()
        returned = Returned(
            where=self.function,
            task=self._file.stem,
            higher_is_better=self.goal == "max",
            wanted=wanted,
            asked=self._takes_items,
        )
        return returned.scores(found, self._loaded.__name__, self.metric)

    def check(self) -> None:
        """Imports the file, and sees whether the function takes what it will be given.

        Raises:
            EvaluationError: it does not import, or has no such function.
        """
        self._loaded  # noqa: B018  loading is what is wanted
        super().check()

    @property
    def _file(self) -> Path:
        return Path(self.function.rpartition(":")[0])

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
        try:
            return self._loaded(model.model, model.tokenizer, **keywords)
        except Exception as error:  # the user's code may raise anything
            what = f"it cannot score {model.label}"
            raise EvaluationError(describe_failure(self._file, what, error)) from error
