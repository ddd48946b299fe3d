"""What a part of a template must know of the recipe around it, to tell which parameters count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

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


class Method(Protocol):
    """What a template knows of a merge method."""

    @property
    def base(self) -> str:
        """What becomes of the base model."""

    @property
    def params(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""


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
        chosen: the methods that may read what stands here; none before they are known.
        base: the base model, as written.
        is_base: whether the model around is the base.
    """

    methods: Methods
    shared: frozenset[str] = frozenset()
    chosen: tuple[Method, ...] = ()
    base: object = None
    is_base: bool = False

    def of_recipe(self, methods: Iterable[str], base: object) -> Scope:
        """Inside a recipe with these methods."""
        known = (name for name in methods if name in self.methods)
        return replace(self, chosen=tuple(self.methods[name] for name in known), base=base)

    def of_slice(self, methods: Iterable[str], base: object) -> Scope:
        """Inside a slice, whose own base, if it has one, takes the place of the recipe's."""
        return self.of_recipe(methods, self.base if base is None else base)

    def of_model(self, model: object) -> Scope:
        """Inside the entry of a model."""
        return replace(self, is_base=self.base is not None and model == self.base)

    def reads(self, name: str) -> bool:
        """Whether a setting of this name, standing here, has an effect by one of the methods."""
        return any(self._reads(method, name) for method in self.chosen)

    def _reads(self, method: Method, name: str) -> bool:
        param = method.params.get(name)
        if param is None or param.ignored:
            return False
        return not (self.is_base and method.base in ON_TASK_VECTORS and param.per_model)
