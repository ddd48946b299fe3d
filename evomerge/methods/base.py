"""What a merge method is: a declaration and three pure steps.

``survey`` looks at the inputs alone, ``settle`` adds the parameters and whatever needs the whole
tensor, ``combine`` is the arithmetic on one block of whole rows. Methods see no files, devices,
element types, configs or global randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.sums import Floats
from evomerge.noise import Key
from evomerge.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.methods.measured import Measured

Value = float | bool | str | None

# A sum smaller than this share of its terms is what their rounding left of zero.
CANCELLED = 1e-12

# What becomes of the base model:
#   input     it is one model among the others (linear, karcher, passthrough)
#   first     it is required, and is the first of the inputs (slerp)
#   optional  where there is one, the method works on task vectors (nuslerp, multislerp)
#   required  the method works on task vectors (the task-arithmetic family, model_stock)
Base = Literal["input", "first", "optional", "required"]
# What happens to a tensor that only some of the models have:
#   merge       the models that have it are merged, if there are enough and the base is among them
#   lone        as merge, but a single model's tensor passes through
#   base_alone  as merge, but the base's own passes through, and what too few have is left out
Partial = Literal["merge", "lone", "base_alone"]


@dataclass(frozen=True)
class Param:
    """One parameter of a method.

    Attributes:
        name: its key under ``parameters:``.
        default: the value when a recipe gives none; its type is the parameter's type.
        per_model: one value for each model (the base excepted), or one for the tensor.
        required: a recipe must give it; ``default`` then only shows the type.
        options: the words it may be, for a parameter that is a word.
        search: the range a search should explore: low, high.
        doc: one line for the table of methods.
        ignored: accepted because mergekit accepts it, without an effect.
    """

    name: str
    default: Value
    doc: str = ""
    per_model: bool = False
    required: bool = False
    options: tuple[Value, ...] = ()
    search: tuple[float, float] | None = None
    ignored: bool = False


@dataclass(frozen=True)
class Parameters:
    """The values that hold for one output tensor.

    Attributes:
        shared: by name, one value for the tensor.
        per_model: by name, one value for each model, in the order of a block's inputs.
    """

    shared: Mapping[str, Value] = field(default_factory=dict)
    per_model: Mapping[str, Sequence[Value]] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A shared number."""
        return float(self.shared[name] or 0.0)

    def flag(self, name: str) -> bool:
        """A shared yes or no."""
        return bool(self.shared[name])

    def word(self, name: str) -> Value:
        """A shared option."""
        return self.shared[name]

    def each(self, name: str) -> Floats:
        """``(models,)``: a number for every model."""
        return np.array(self.per_model[name], np.float64)


class Blocks(Protocol):
    """All blocks of one tensor (or of a pool of tensors), in order, as often as asked."""

    models: int
    size: int  # elements of one model
    columns: int
    shape: tuple[int, ...]
    keys: tuple[Key, ...]  # of the noise, for each model

    @property
    def measured(self) -> Sequence[Measured]:
        """What the data say of the tensor in each model; none if nobody asked, or can tell."""

    @property
    def whole(self) -> Blocks:
        """What is surveyed as one vector: these blocks, or those of the pool they belong to."""

    def __iter__(self) -> Iterator[Block]:
        """The blocks, first to last; each is valid until the next one is asked for."""


Surveyed = TypeVar("Surveyed")
Settled = TypeVar("Settled")


class Method(Protocol, Generic[Surveyed, Settled]):
    """The three steps."""

    def survey(self, blocks: Blocks) -> Surveyed:
        """Statistics of the inputs, whatever the parameters: worth remembering in a search."""

    def settle(self, survey: Surveyed, blocks: Blocks, parameters: Parameters) -> Settled:
        """Everything ``combine`` needs to know that is not in the block."""

    def combine(self, block: Block, settled: Settled) -> NDArray | Tensor:
        """``(models, rows, columns)`` of the inputs -> ``(rows, columns)`` of the merge."""


@dataclass(frozen=True)
class Declaration:
    """A method's name, contract, parameters and steps.

    Attributes:
        name: its name in recipes.
        steps: the object with survey, settle and combine.
        params: by name.
        base: what becomes of the base model.
        models: the fewest and, if there is a limit, the most inputs, the base excepted where the
            method works on task vectors.
        partial: what happens to tensors that only some models have.
        doc: the first line of the method's docstring.
    """

    name: str
    steps: Method[object, object]
    params: Mapping[str, Param]
    base: Base
    models: tuple[int, int | None]
    partial: Partial
    doc: str

    def check(self, parameters: Parameters) -> None:
        """Refuses values that no tensor can be merged with, before any is read.

        Raises:
            MergeError: what is wrong, and what was expected.
        """
        checker = getattr(self.steps, "check", None)
        if checker is not None:
            checker(parameters)

    def pools(self, parameters: Parameters) -> bool:
        """Whether all tensors are surveyed as one long vector."""
        pooler = getattr(self.steps, "pools", None)
        return bool(pooler is not None and pooler(parameters))

    def draws(self, parameters: Parameters) -> bool:
        """Whether noise takes part. A method that does not say so is never told the seed."""
        drawer = getattr(self.steps, "draws", None)
        return bool(drawer is not None and drawer(parameters))

    def measures(self, parameters: Parameters) -> str | None:
        """Which kind of measurement the method needs; None if it looks at no data."""
        measurer = getattr(self.steps, "measures", None)
        return None if measurer is None else str(measurer(parameters))

    def copies(self, parameters: Parameters) -> bool:
        """Whether what comes out are the numbers of the one input, not a bit of them changed."""
        copier = getattr(self.steps, "copies", None)
        return bool(copier is not None and copier(parameters))


merge_methods: Registry[Declaration] = Registry("merge method", package="evomerge.methods")

Steps = TypeVar("Steps", bound=type)


def merge_method(
    name: str,
    *,
    params: Sequence[Param] = (),
    base: Base,
    models: tuple[int, int | None] = (1, None),
    partial: Partial = "merge",
) -> Callable[[Steps], Steps]:
    """Declares a class with the three steps as the merge method ``name``."""

    def declare(steps: Steps) -> Steps:
        by_name = {param.name: param for param in params}
        first_line = (steps.__doc__ or "").strip().split("\n")[0]
        merge_methods.add(
            name, Declaration(name, steps(), by_name, base, models, partial, first_line)
        )
        return steps

    return declare


def sum_to_zero(weights: Floats) -> bool:
    """Whether weights cancel, up to their rounding: 0.1 + 0.2 - 0.3 does."""
    return bool(abs(weights.sum()) <= CANCELLED * np.abs(weights).sum())


def weight(*, required: bool = True, search: tuple[float, float] = (-0.5, 1.5)) -> Param:
    """The parameter that most methods have for each model."""
    return Param(
        "weight", 1.0, "share of each model", per_model=True, required=required, search=search
    )
