"""What a part of a template must know of the recipe around it, to tell which parameters count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from evomerge.recipe.methods import entries_in
from evomerge.trial import Point

# Bases from which methods take task vectors: their own parameters are not read.
ON_TASK_VECTORS = ("optional", "required")


class Parameter(Protocol):
    """What a template knows of a parameter."""

    @property
    def per_model(self) -> bool:
        """Whether it is one value for each model."""

    @property
    def ignored(self) -> bool:
        """Whether it is accepted, without an effect."""

    @property
    def required(self) -> bool:
        """Whether a recipe must give it."""

    @property
    def default(self) -> object:
        """What it is in a recipe that does not give it."""


class Method(Protocol):
    """What a template knows of a merge method."""

    @property
    def base(self) -> str:
        """What becomes of the base model."""

    @property
    def params(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""


# The filter of some tensors, None for all, and their method, None if it is not known.
Chosen: TypeAlias = tuple[str | None, Method | None]


class Methods(Protocol):
    """All merge methods by name."""

    def __getitem__(self, name: str, /) -> Method: ...

    def __contains__(self, name: str, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True)
class Scope:
    """Where in a recipe something stands.

    Attributes:
        methods: all that there are.
        shared: the dimensions that stand in several places.
        chosen: what may read what stands here: a list of methods for each slice that it is for; no
            lists before they are known.
        base: the base model, as written.
        is_base: whether the model around is the base.
        anchor: what models are aligned to where nothing is said, as written; None before it is
            known, as it is while a recipe is being recognised.
        parameter: whose value stands here; empty outside of parameters.
        filled_at: the point at which the recipe was filled, if that is known: where several points
            make one recipe, it is the one that is meant.
    """

    methods: Methods
    shared: frozenset[str] = frozenset()
    chosen: tuple[tuple[Chosen, ...], ...] = ()
    base: object = None
    is_base: bool = False
    anchor: object = None
    parameter: str = ""
    filled_at: Point | None = None

    def of_recipe(self, methods: Iterable[object], base: object) -> Scope:
        """Inside a recipe whose slices have these methods: each a word, or a conditional list."""
        chosen = (
            tuple((condition, self._method(name)) for condition, name in entries_in(setting))
            for setting in methods
        )
        return replace(self, chosen=tuple(chosen), base=base)

    def of_slice(self, methods: object, base: object) -> Scope:
        """Inside a slice, whose own base, if it has one, takes the place of the recipe's."""
        return self.of_recipe([methods], self.base if base is None else base)

    def of_model(self, model: object) -> Scope:
        """Inside the entry of a model."""
        return replace(self, is_base=self.base is not None and model == self.base)

    def of_parameter(self, name: str) -> Scope:
        """Inside the value of a parameter."""
        return replace(self, parameter=name)

    def reads(self, name: str) -> bool:
        """Whether a setting of this name, standing here, has an effect by one of the methods."""
        return any(self._reads(method, name) for entries in self.chosen for _, method in entries)

    def reads_for(self, pattern: str | None, earlier: Sequence[str]) -> bool:
        """Whether an entry of the list that stands here has an effect by one of the methods.

        Args:
            pattern: the entry's filter; None is all tensors.
            earlier: filters of the entries before it, which leave it no tensor of theirs.
        """
        return any(
            self._reads(method, self.parameter)
            for entries in self.chosen
            for method in _meeting(entries, pattern, earlier)
        )

    def _method(self, name: str) -> Method | None:
        return self.methods[name] if name in self.methods else None  # noqa: SIM401 - has no get

    def _reads(self, method: Method | None, name: str) -> bool:
        param = None if method is None else method.params.get(name)
        if method is None or param is None or param.ignored:
            return False
        return not (self.is_base and method.base in ON_TASK_VECTORS and param.per_model)


def _meeting(
    entries: Iterable[Chosen], pattern: str | None, earlier: Sequence[str]
) -> Iterator[Method | None]:
    """The methods that could make a tensor of ``pattern`` and of none of ``earlier``."""
    for condition, method in entries:
        if condition is None or not any(_within(each, condition) for each in earlier):
            yield method
        if condition is None or (pattern is not None and _within(condition, pattern)):
            return


def _within(part: str, pattern: str) -> bool:
    """Whether each tensor with ``pattern`` in its name has ``part`` in it.

    Not told where numbers stand: that of a layer differs between a model and the output.
    """
    return part in pattern and not any(sign.isdigit() for sign in part)
