"""What people see of a space: its dimensions, its size, a recipe from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import product
from math import prod

from evomerge.space import ChoiceDimension, Dimension, IntDimension
from evomerge.template.fillable import Fillable
from evomerge.template.uses import Path

COLUMNS = ("dimension", "kind", "range", "read")
ALWAYS, SOMETIMES, NEVER = "always", "sometimes", "never"
# Combinations of options that are tried one by one.
MANY = 10_000


@dataclass(frozen=True)
class Row:
    """One dimension.

    Attributes:
        name: of the dimension.
        kind: ``number``, ``number (log)``, ``whole number`` or ``choice``.
        range: ``0 to 1.5``, or the options.
        read: when a recipe depends on it: ``always``, ``sometimes``, ``never``, or at which options
            of others.
    """

    name: str
    kind: str
    range: str
    read: str


@dataclass(frozen=True)
class Description:
    """A space.

    Attributes:
        dimensions: in reading order.
        continuous: how many of them are numbers that need not be whole.
        combinations: of options and whole numbers.
        corners: the names of the points that a search may begin at.
        example: the recipe in the middle of the space, as YAML.
        advice: what could make the search easier.
    """

    dimensions: tuple[Row, ...]
    continuous: int
    combinations: int
    corners: tuple[str, ...]
    example: str
    advice: tuple[str, ...]

    def tree(self) -> dict[str, object]:
        """The same for JSON."""
        return asdict(self)

    def cells(self) -> list[tuple[str, ...]]:
        """The rows of a table with the columns ``COLUMNS``."""
        return [astuple(row) for row in self.dimensions]

    def summary(self) -> tuple[str, ...]:
        """Lines for below the table: the size, where to begin, and the advice."""
        size = f"{_count(len(self.dimensions), 'dimension')}: {self.continuous} continuous"
        if self.continuous < len(self.dimensions):
            size += f", {_count(self.combinations, 'combination')} of the others"
        corners = [f"corners to begin at: {'; '.join(self.corners)}"] if self.corners else []
        return size, *corners, *self.advice


def describe(template: Fillable) -> Description:
    """What there is to say about the space of a template."""
    space, used = template.space, template.uses()
    sizes = [
        each.size for each in space.dimensions if isinstance(each, IntDimension | ChoiceDimension)
    ]
    return Description(
        tuple(_row(each, used.get(each.name, []), space.choices) for each in space.dimensions),
        len(space.floats),
        prod(sizes),
        tuple(label for label, _ in template.corners()),
        template.fill(space.middle()).write(),
        template.advice(),
    )


def _row(dimension: Dimension, paths: Sequence[Path], choices: Sequence[ChoiceDimension]) -> Row:
    read = _read(dimension.name, paths, {each.name: each.options for each in choices})
    if isinstance(dimension, ChoiceDimension):
        return Row(dimension.name, "choice", ", ".join(dimension.options), read)
    span = f"{dimension.low:g} to {dimension.high:g}"
    if isinstance(dimension, IntDimension):
        return Row(dimension.name, "whole number", span, read)
    return Row(dimension.name, "number (log)" if dimension.log else "number", span, read)


def _read(name: str, paths: Sequence[Path], choices: Mapping[str, Sequence[str]]) -> str:
    """At which options of other choices a dimension is read."""
    if not paths:
        return NEVER
    conditions: dict[str, str] = {}
    for choice, options in choices.items():
        if choice == name or any(choice not in path for path in paths):
            continue
        taken = {path[choice] for path in paths}
        if len(taken) < len(options):
            conditions[choice] = ", ".join(option for option in options if option in taken)
    # A choice inside an option says that the option is taken.
    telling = (
        f"{choice}: {labels}"
        for choice, labels in conditions.items()
        if not any(other.startswith(f"{choice}[") for other in conditions)
    )
    return "; ".join(telling) or _either(paths, choices)


def _either(paths: Sequence[Path], choices: Mapping[str, Sequence[str]]) -> str:
    """When one of several ways to a dimension is taken, of which none says it all.

    A parameter that one of two methods reads, each chosen for tensors of its own, is read if either
    choice falls on a method that reads it.
    """
    named = dict.fromkeys(name for path in paths for name in path)
    if prod(len(choices[name]) for name in named) > MANY:
        return SOMETIMES
    combinations = product(*(choices[name] for name in named))
    taken = (dict(zip(named, labels, strict=True)) for labels in combinations)
    if all(any(path.items() <= each.items() for path in paths) for each in taken):
        return ALWAYS
    ways: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        ways.setdefault(tuple(path), []).append(path)
    return " or ".join("; ".join(_labels(found)) for found in ways.values())


def _labels(paths: Sequence[Path]) -> Iterator[str]:
    for name in paths[0]:
        yield f"{name}: {', '.join(dict.fromkeys(path[name] for path in paths))}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
