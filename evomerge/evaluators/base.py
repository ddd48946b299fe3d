"""What an evaluator is, what it is given, and how one is made from a configuration.

@evaluator("perplexity")
@dataclass(frozen=True, kw_only=True)
class Perplexity:
    file: Path                     # its fields are the keys of the YAML
    def evaluate(self, model, items=None, *, tick=no_tick) -> Scores: ...

make_evaluator({"name": "perplexity", "file": "prose.txt"}).evaluate(model)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from evomerge.errors import EvaluationError, MissingExtra, RecipeError
from evomerge.evaluators.scores import Scores
from evomerge.registry import Registry, check_keywords

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Documents to score: their indices by task, or bare indices where there is only one task.
Items = Mapping[str, Sequence[int]] | Sequence[int]
# Called between batches. It may raise, which ends the evaluation: deadlines, Ctrl-C, progress.
Tick = Callable[[], None]


def no_tick() -> None:
    """Does nothing between batches."""


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in memory, ready to be scored.

    Attributes:
        model: a ``transformers`` model in evaluation mode. Its weights may change in place
            between two evaluations.
        tokenizer: the tokenizer of the same folder.
        label: what messages and tables call it.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: str

    @property
    def device(self) -> str:
        """Where its weights are, as torch writes it: ``cuda:0``."""
        return str(self.model.device)

    @property
    def dtype(self) -> str:
        """The type of its weights: ``bfloat16``."""
        return str(self.model.dtype).removeprefix("torch.")


class Evaluator(Protocol):
    """Scores one model at a time. It may keep what does not depend on the weights."""

    def evaluate(
        self, model: LoadedModel, items: Items | None = None, *, tick: Tick = no_tick
    ) -> Scores:
        """Scores ``model`` on exactly ``items``, or on all there are.

        Raises:
            EvaluationError: the model cannot be scored, or its score is not a number.
        """


@dataclass(frozen=True)
class EvaluatorKind:
    """A plug-in: the class, a dataclass, of evaluators of one name, and the extra they need."""

    name: str
    make: type[Evaluator]
    needs: str | None


E = TypeVar("E", bound=type[Evaluator])

evaluators: Registry[EvaluatorKind] = Registry("evaluator", package="evomerge.evaluators")


def evaluator(name: str, *, needs: str | None = None) -> Callable[[E], E]:
    """Registers the class it decorates. ``needs`` is an optional package, and our extra for it."""

    def enter(make: E) -> E:
        evaluators.add(name, EvaluatorKind(name, make, needs))
        return make

    return enter


def make_evaluator(settings: Mapping[str, object], where: str = "evaluator") -> Evaluator:
    """The evaluator that ``settings`` describe: its ``name``, and the keys of that evaluator.

    Raises:
        RecipeError: there is no evaluator of that name, or it has no such key or value.
        MissingExtra: the package it needs is not installed.
    """
    kind = evaluators.find(str(settings.get("name")), where)
    if kind.needs and find_spec(kind.needs.replace("-", "_")) is None:
        raise MissingExtra(f"evaluator '{kind.name}'", kind.needs, kind.needs)
    keywords = {key: value for key, value in settings.items() if key != "name"}
    check_keywords(kind.make, keywords, where)
    try:
        return TypeAdapter(kind.make).validate_python(keywords)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *map(str, first["loc"][:1])])
        raise RecipeError(f"{key}: {first['msg']}; found {first['input']!r}") from error


def indices(items: Items | None, where: str) -> Sequence[int] | None:
    """``items`` as the indices of an evaluator that has one task only.

    Raises:
        EvaluationError: they are given for several tasks.
    """
    if not isinstance(items, Mapping):
        return items
    if len(items) != 1:
        raise EvaluationError(f"{where}: items of {len(items)} tasks; there is one")
    return next(iter(items.values()))
