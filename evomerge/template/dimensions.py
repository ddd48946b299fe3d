"""The dimensions of a template, collected in reading order; which holes share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from evomerge.errors import RecipeError
from evomerge.space import ChoiceDimension, Dimension, FloatDimension, IntDimension, Space
from evomerge.template.holes import Choose, Hole, Search
from evomerge.template.places import Place

D = TypeVar("D", bound=Dimension)


class Dimensions:
    """Grows while a template is read.

    Holes share their dimensions if they have the same ``name``, or are one object: in YAML, an
    alias of it.
    """

    def __init__(self) -> None:
        self._made: dict[str, Dimension] = {}
        self._first: dict[str, tuple[tuple[Dimension, ...], Place]] = {}
        self._titles: dict[int, str] = {}
        self._twice: set[str] = set()
        self._again: set[int] = set()

    @property
    def space(self) -> Space:
        """All of them."""
        return Space(tuple(self._made.values()))

    @property
    def shared(self) -> frozenset[str]:
        """The names of those that stand in several places."""
        return frozenset(self._twice)

    def search(
        self, tree: Mapping[str, object], hole: Search, place: Place
    ) -> tuple[FloatDimension | IntDimension, ...]:
        """The dimensions of a number, or of its anchors for every filter."""
        title = self._title(tree, hole, place)
        names = [name for _, anchors in hole.parts(title) for name in anchors]
        return self._enter(title, [hole.dimension(name) for name in names], place)

    def choice(
        self, tree: Mapping[str, object], hole: Choose, labels: Sequence[str], place: Place
    ) -> ChoiceDimension:
        """The dimension of a choice."""
        title = self._title(tree, hole, place)
        dimension = ChoiceDimension(title, tuple(labels))
        self._enter(title, [dimension], place)
        return dimension

    def enter(self, dimensions: Sequence[Dimension], place: Place) -> None:
        """The dimensions of a hole that nothing is shared with."""
        self._enter(place.title, dimensions, place)

    def named(self, tree: object) -> object:
        """``tree`` with the names of holes that are one object spelled out.

        It is the same template, and stays so when it is copied or written to a file without
        aliases.
        """
        if isinstance(tree, Mapping):
            copy = {key: self.named(value) for key, value in tree.items()}
            return {**copy, "name": self._titles[id(tree)]} if id(tree) in self._again else copy
        if isinstance(tree, list | tuple):
            return [self.named(item) for item in tree]
        return tree

    def _title(self, tree: Mapping[str, object], hole: Hole, place: Place) -> str:
        """What a hole is called: by its name, else by where it stands first."""
        if id(tree) in self._titles:
            self._again.add(id(tree))
        title = self._titles.setdefault(id(tree), hole.name or place.title)
        if hole.name is None and id(tree) not in self._again and title in self._first:
            _, first = self._first[title]
            raise RecipeError(
                f"{place.where}: the hole at {first.where} is called '{title}' too; "
                "give one of them a name of its own, as in {search: [0, 1], name: other}"
            )
        return title

    def _enter(self, title: str, made: Iterable[D], place: Place) -> tuple[D, ...]:
        dimensions = tuple(made)
        if title in self._first:
            known, first = self._first[title]
            if known != dimensions:
                raise RecipeError(
                    f"{place.where}: '{title}' is {_spelled(known)} at {first.where}, and "
                    f"{_spelled(dimensions)} here; holes of one name are one dimension"
                )
            self._twice.update(dimension.name for dimension in dimensions)
            return dimensions
        self._first[title] = dimensions, place
        for dimension in dimensions:
            if dimension.name in self._made:
                raise RecipeError(
                    f"{place.where}: there is a dimension '{dimension.name}' already; give the "
                    "hole another name"
                )
            self._made[dimension.name] = dimension
        return dimensions


def _spelled(dimensions: tuple[Dimension, ...]) -> str:
    first = dimensions[0]
    if isinstance(first, ChoiceDimension):
        return f"one of {', '.join(first.options)}"
    times = f"{len(dimensions)} times " if len(dimensions) > 1 else ""
    log = " log" if getattr(first, "log", False) else ""
    return f"{times}[{first.low:g}, {first.high:g}]{log}"
