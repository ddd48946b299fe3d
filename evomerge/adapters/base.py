"""What a method on adapters is: a name, parameters, and one function of the updates of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from evomerge.adapters.updates import Floats, Update
from evomerge.errors import MergeError, RecipeError
from evomerge.recipe.lookup import Reader, as_number, as_whole
from evomerge.recipe.settings import Scalar
from evomerge.registry import Registry

Value = float | str
# How many columns the merged factors have, in words: as many as the largest adapter, twice as many,
# or all of them together.
RANKS = ("r", "2r", "sum")
# A sum of weights smaller than this share of their sizes is what rounding left of zero.
_CANCELLED = 1e-12


@dataclass(frozen=True)
class Parameter:
    """One key under ``parameters:``.

    Attributes:
        name: the key.
        default: its value where a recipe gives none.
        read: its type.
        doc: one line for the page of methods.
        per_adapter: whether an adapter may have its own.
    """

    name: str
    default: Value
    read: Reader[Value]
    doc: str
    per_adapter: bool = False

    @property
    def per_model(self) -> bool:
        """The same, to templates: an adapter is what they call a model."""
        return self.per_adapter

    @property
    def ignored(self) -> bool:
        """None is accepted without an effect."""
        return False

    @property
    def required(self) -> bool:
        """All have a default."""
        return False


@dataclass(frozen=True)
class Task:
    """What is to be merged into one matrix.

    Attributes:
        name: of the matrix.
        updates: one for each adapter, in the gauge it was trained in; rank 0 where it has none.
        weights: ``(adapters,)``, which sum to 1.
        labels: of the adapters, which tell their random masks apart.
        values: the method's parameters by name.
        seed: of random masks.
    """

    name: str
    updates: Sequence[Update]
    weights: Floats
    labels: Sequence[str]
    values: Mapping[str, Value]
    seed: int = 0

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.values[name])

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)`` of the matrix."""
        return self.updates[0].shape

    def rank(self) -> int:
        """What the parameter ``rank`` is for this matrix."""
        ranks = [update.rank for update in self.updates]
        return rank_of(self.values["rank"], ranks, self.shape, self.name)

    def positive(self) -> None:
        """Refuses weights below 0, where what they weigh are distances.

        Raises:
            MergeError: there is one.
        """
        if (self.weights < 0).any():
            listed = ", ".join(f"{weight:.3g}" for weight in self.weights)
            raise MergeError(
                f"{self.name}: the shares {listed}; expected none below 0, as a point "
                "cannot be pushed away. Methods that take them: linear, svd"
            )


@dataclass(frozen=True)
class Merged:
    """What came of one matrix.

    Attributes:
        update: the merged update.
        steps: of the iteration, where there was one.
        residual: how far it was from its end, relative.
    """

    update: Update
    steps: int = 0
    residual: float = 0.0


class Method(Protocol):
    """What a method does."""

    def merge(self, task: Task) -> Merged:
        """The update of one matrix, before its ``scale``."""


@dataclass(frozen=True)
class Declaration:
    """A method with what it says of itself.

    Attributes:
        name: in recipes.
        method: what it does.
        params: by name.
        rank: what its result has, in the words of `RANKS`, where no parameter says it.
        doc: the first line of its docstring.
    """

    name: str
    method: Method
    params: Mapping[str, Parameter]
    rank: str
    doc: str

    @property
    def base(self) -> str:
        """What becomes of the base, to templates: the merged update is added to it."""
        return "added_to"


adapter_methods: Registry[Declaration] = Registry("method on adapters", "evomerge.adapters")

Class = TypeVar("Class", bound=type)


def adapter_method(name: str, *params: Parameter, rank: str = "r") -> Callable[[Class], Class]:
    """Declares a class as a method; all have a weight for each adapter, and a scale."""

    def declare(made: Class) -> Class:
        by_name = {param.name: param for param in (WEIGHT, SCALE, *params)}
        doc = (made.__doc__ or "").strip().split("\n")[0]
        adapter_methods.add(name, Declaration(name, made(), by_name, rank, doc))
        return made

    return declare


def rank_of(asked: Value, ranks: Sequence[int], shape: tuple[int, int], name: str) -> int:
    """What a rank in words or a number is, for updates of these ranks: at most all there is.

    Raises:
        MergeError: it is 0, or larger than the matrix.
    """
    most = min(*shape, sum(ranks))
    if isinstance(asked, str):
        words = {"r": max(ranks), "2r": 2 * max(ranks), "sum": sum(ranks)}
        return min(words[asked], most)
    if not 1 <= asked <= min(shape):
        raise MergeError(
            f"{name}: rank {int(asked)} of a matrix of shape {shape}; expected 1 to "
            f"{min(shape)}, or one of {', '.join(RANKS)}"
        )
    return min(int(asked), most)


def shares(weights: Sequence[float], name: str) -> Floats:
    """Weights brought to the sum 1.

    Raises:
        MergeError: they sum to zero.
    """
    array = np.array(weights, np.float64)
    if abs(array.sum()) <= _CANCELLED * np.abs(array).sum():
        listed = ", ".join(f"{weight:g}" for weight in weights)
        raise MergeError(f"{name}: the weights {listed} sum to zero; give other weights")
    return array / array.sum()


def one_of(*words: str) -> Reader[Value]:
    """The reader of a parameter that is one of these words."""

    def read(value: Scalar, where: str) -> Value:
        if value not in words:
            raise RecipeError(f"{where}: found {value!r}; available: {', '.join(words)}")
        return str(value)

    return read


def fraction(value: Scalar, where: str) -> Value:
    """A number above 0, and at most 1.

    Raises:
        RecipeError: it is not.
    """
    number = as_number(value, where)
    if not 0 < number <= 1:
        raise RecipeError(f"{where}: found {value}; expected a number above 0, and at most 1")
    return number


def as_rank(value: Scalar, where: str) -> Value:
    """One of `RANKS`, or a whole number.

    Raises:
        RecipeError: it is neither.
    """
    if value in RANKS:
        return str(value)
    if isinstance(value, str):
        raise RecipeError(
            f"{where}: found {value!r}; expected a whole number, or one of {', '.join(RANKS)}"
        )
    return as_whole(value, where)


WEIGHT = Parameter(
    "weight", 1.0, as_number, "share of each adapter; brought to the sum 1", per_adapter=True
)
SCALE = Parameter("scale", 1.0, as_number, "factor on the merged update: means shrink")
RANK = Parameter("rank", "r", as_rank, "of the result: r, 2r, sum, or a whole number")
