"""What an evaluator is, what it is given, and how one is made from a configuration.

@evaluator("perplexity")
@dataclass(frozen=True, kw_only=True)
class Perplexity(Evaluator):
    file: Path                     # its fields are the keys of the YAML
    def score(self, model, items, tick) -> Scores: ...

make_evaluator({"name": "perplexity", "file": "prose.txt"}).evaluate(model)
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from evomerge.errors import EvaluationError, MissingExtra, RecipeError
from evomerge.evaluators.deadline import deadline
from evomerge.evaluators.isolation import Request, score_in_child
from evomerge.evaluators.memory import memory_watched
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
            between two evaluations. An evaluator must not write to them: they may be those of a
            model in memory, and then of all candidates to come.
        tokenizer: the tokenizer of the same folder.
        label: what messages and tables call it.
        folder: gives a folder with this model as it is now, written at the first call if there
            is none. None where there can be no folder.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: str
    folder: Callable[[], Path] | None = field(default=None, compare=False, repr=False)

    @property
    def device(self) -> str:
        """Where its weights are, as torch writes it: ``cuda:0``."""
        return str(self.model.device)

    @property
    def dtype(self) -> str:
        """The type of its weights: ``bfloat16``."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def has_own_code(self) -> bool:
        """Whether its class came with the model, and not with transformers."""
        return type(self.model).__module__.startswith("transformers_modules.")

    def written(self) -> Path:
        """A folder with this model.

        Raises:
            EvaluationError: it is in memory only.
        """
        if self.folder is None:
            raise EvaluationError(
                f"{self.label}: there is no folder of this model for the evaluator to read; "
                "give a model folder, not an id"
            )
        return self.folder()


@dataclass(frozen=True, kw_only=True)
class Evaluator(ABC):
    """Scores one model at a time. It may keep what does not depend on the weights.

    Attributes:
        deadline: seconds that one evaluation may take. Evaluators in this process look at the
            clock between batches only; programs, and what is isolated, are ended.
        isolate: evaluate in a process of its own, which reads the model from a folder. It costs
            the start of Python and the loading of model and tasks, each time.
        cluster: the field of the documents that tells which belong together, such as those about
            one text. Statistics count them as one.
    """

    name: ClassVar[str]
    paths: ClassVar[tuple[str, ...]] = ()  # the keys that hold paths
    apart: ClassVar[bool] = False  # whether it runs in a process of its own in any case

    deadline: Annotated[float, Field(gt=0)] | None = None
    isolate: bool = False
    cluster: str | None = None

    def evaluate(
        self, model: LoadedModel, items: Items | None = None, *, tick: Tick = no_tick
    ) -> Scores:
        """Scores ``model`` on exactly ``items``, or on all there are.

        Raises:
            DeadlineExceeded: it took longer than the deadline.
            OutOfMemory: there was too little memory.
            EvaluationError: the model cannot be scored, or its score is not a number.
        """
        with memory_watched(model.label):
            request = self._request(model, items) if self.isolate and not self.apart else None
            if self.needs_folder:
                model.written()  # before the clock starts
            limited = self._limited(model, tick)
            if request is not None:
                return score_in_child(request, limited)
            return self.score(model, items, limited)

    @abstractmethod
    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """What this kind of evaluator does; ``tick`` goes between its batches."""

    @property
    def deterministic(self) -> bool:
        """Whether the same weights get the same scores, which may then be recalled."""
        return True

    @property
    def needs_folder(self) -> bool:
        """Whether it reads the model from a folder, and not from memory."""
        return self.isolate

    def check(self) -> None:
        """Finds what can be found before there is a model: a missing file, an unknown task.

        Raises:
            EvaluationError: something would keep every model from being scored.
        """
        if self.cluster is not None:
            self.clusters(self.cluster)

    def sizes(self) -> Mapping[str, int] | None:
        """The number of documents by task; None if only scoring tells. What is counted has none."""
        return None

    def benchmarks(self) -> Sequence[str]:
        """Those of its tasks that are commonly reported benchmarks."""
        return ()

    def clusters(self, field: str) -> Mapping[str, Mapping[int, str]]:
        """What each document has under ``field``: by task, by the document's index.

        Raises:
            EvaluationError: its documents have no such field.
        """
        raise EvaluationError(
            f"evaluator '{self.name}': its items have no fields; leave out cluster: {field}"
        )

    @classmethod
    def located(cls, settings: Mapping[str, object], folder: Path) -> dict[str, object]:
        """``settings`` with their relative paths taken from ``folder``."""
        return {
            key: under(folder, value) if key in cls.paths else value
            for key, value in settings.items()
        }

    def _limited(self, model: LoadedModel, tick: Tick) -> Tick:
        """``tick``, and the deadline if there is one."""
        if self.deadline is None:
            return tick
        late = deadline(self.deadline, f"{model.label}: evaluator '{self.name}'")

        def both() -> None:
            tick()
            late()

        return both

    def _request(self, model: LoadedModel, items: Items | None) -> Request:
        settings = {one.name: getattr(self, one.name) for one in fields(self)}
        settings |= {"name": self.name, "isolate": False, "deadline": None}
        return Request(
            settings=to_jsonable_python(settings),
            folder=str(model.written().absolute()),
            label=model.label,
            device=model.device,
            dtype=model.dtype,
            own_code=model.has_own_code,
            items=to_jsonable_python(items, fallback=list),  # a range too
        )


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
        make.name = name
        evaluators.add(name, EvaluatorKind(name, make, needs))
        return make

    return enter


def make_evaluator(
    settings: Mapping[str, object], where: str = "evaluator", folder: Path | None = None
) -> Evaluator:
    """The evaluator that ``settings`` describe: its ``name``, and the keys of that evaluator.

    Args:
        settings: as they stand in a configuration.
        where: what messages begin with.
        folder: where relative paths start, such as the folder of the configuration; by default
            the working directory.

    Raises:
        RecipeError: there is no evaluator of that name, or it has no such key or value.
        MissingExtra: the package it needs is not installed.
    """
    kind = evaluators.find(str(settings.get("name")), where)
    if kind.needs and find_spec(kind.needs.replace("-", "_")) is None:
        raise MissingExtra(f"evaluator '{kind.name}'", kind.needs, kind.needs)
    keywords = {key: value for key, value in settings.items() if key != "name"}
    check_keywords(kind.make, keywords, where)
    if folder is not None:
        keywords = kind.make.located(keywords, folder)
    try:
        return TypeAdapter(kind.make).validate_python(keywords)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *map(str, first["loc"][:1])])
        raise RecipeError(f"{key}: {first['msg']}; found {first['input']!r}") from error


def under(folder: Path, value: object) -> object:
    """A path, or each of a list of paths, as seen from ``folder``; other values as they are."""
    if isinstance(value, list):
        return [under(folder, one) for one in value]
    if isinstance(value, str | os.PathLike):
        return str(folder / Path(value).expanduser())
    return value


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
