"""Holes: what stands in a template where a search is to put a value.

{search: [low, high]}     a number; with log, int, knots, by
{choose: [a, b, ...]}     one of the options
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from evomerge.errors import RecipeError, unknown
from evomerge.recipe.entry import shown
from evomerge.recipe.settings import Scalar
from evomerge.space import FloatDimension, IntDimension

SEARCH_KEYS = ("search", "log", "int", "knots", "by", "name")
CHOOSE_KEYS = ("choose", "name")

# How the values of ``by`` are called that no filter takes.
REST = "rest"

_scalar: TypeAdapter[bool | int | float | str] = TypeAdapter(Scalar)


@dataclass(frozen=True)
class Search:
    """A number to be found, or several of them.

    Attributes:
        low: the smallest value.
        high: the largest value.
        log: whether equal ratios are equally far apart.
        whole: whether it is a whole number.
        knots: how many anchors of a gradient over the layers it is; None is one value for all.
        by: filters that have a value each, beside one for the rest; empty is one for all tensors.
        name: what holes share that are to have the same value.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    knots: int | None = None
    by: tuple[str, ...] = ()
    name: str | None = None

    def dimension(self, name: str) -> FloatDimension | IntDimension:
        """One of its numbers, as a dimension of that name."""
        if self.whole:
            return IntDimension(name, int(self.low), int(self.high))
        return FloatDimension(name, float(self.low), float(self.high), self.log)

    def parts(self, title: str) -> tuple[tuple[str | None, tuple[str, ...]], ...]:
        """For each filter, and last for the rest (None), the names of its dimensions."""
        if not self.by:
            return ((None, self._anchors(title)),)
        groups = (*self.by, None)
        return tuple((group, self._anchors(f"{title}[{group or REST}]")) for group in groups)

    def _anchors(self, name: str) -> tuple[str, ...]:
        if self.knots is None:
            return (name,)
        return tuple(f"{name}[{anchor}]" for anchor in range(self.knots))


@dataclass(frozen=True)
class Choose:
    """One of several options, which may have holes of their own.

    Attributes:
        options: as written.
        name: what holes share that are to choose alike.
    """

    options: tuple[object, ...]
    name: str | None = None


Hole = Search | Choose


def is_hole(tree: object) -> bool:
    """Whether a value of a template is to be found."""
    return isinstance(tree, Mapping) and ("search" in tree or "choose" in tree)


def read_hole(tree: Mapping[str, object], where: str) -> Hole:
    """The hole that a mapping writes down.

    Raises:
        RecipeError: it has other keys, or values that make no range or choice.
    """
    keys = SEARCH_KEYS if "search" in tree else CHOOSE_KEYS
    for key in tree:
        if key not in keys:
            raise RecipeError(f"{where}: {unknown('key of a hole', str(key), keys)}")
    name = tree.get("name")
    if name is not None and (not isinstance(name, str) or not name):
        raise RecipeError(f"{where}.name: found {shown(name)}; expected a word")
    if "choose" in tree:
        return Choose(_options(tree["choose"], f"{where}.choose"), name)
    whole, log = (_flag(tree, key, where) for key in ("int", "log"))
    if whole and log:
        raise RecipeError(f"{where}: both int and log; give at most one of them")
    low, high = _range(tree["search"], f"{where}.search", whole=whole)
    if log and low <= 0:
        raise RecipeError(f"{where}.search: begins at {low:g}; with log it must lie above 0")
    knots, by = _knots(tree, f"{where}.knots"), _filters(tree, f"{where}.by")
    return Search(low, high, log, whole, knots, by, name)


def _options(found: object, where: str) -> tuple[object, ...]:
    if not isinstance(found, list | tuple):
        raise RecipeError(f"{where}: found {shown(found)}; expected a list of options")
    if len(found) < 2:  # noqa: PLR2004
        raise RecipeError(
            f"{where}: {len(found) or 'no'} option{'s' * (not found)}; expected at least two"
        )
    return tuple(found)


def _range(found: object, where: str, *, whole: bool) -> tuple[float, float]:
    if not isinstance(found, list | tuple) or len(found) != 2:  # noqa: PLR2004
        raise RecipeError(f"{where}: found {shown(found)}; expected [low, high]")
    low, high = (_number(end, where, whole=whole) for end in found)
    if low > high:
        raise RecipeError(f"{where}: {low:g} lies above {high:g}; expected [low, high]")
    return low, high


def _number(found: object, where: str, *, whole: bool) -> float:
    try:
        value = _scalar.validate_python(found)
    except ValidationError:
        value = ""
    if isinstance(value, bool | str):
        raise RecipeError(f"{where}: found {shown(found)}; expected a finite number")
    if whole and value != int(value):
        raise RecipeError(f"{where}: found {value:g}; with int both ends must be whole numbers")
    return value


def _flag(tree: Mapping[str, object], key: str, where: str) -> bool:
    found = tree.get(key, False)
    if not isinstance(found, bool):
        raise RecipeError(f"{where}.{key}: found {shown(found)}; expected true or false")
    return found


def _knots(tree: Mapping[str, object], where: str) -> int | None:
    found = tree.get("knots")
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RecipeError(f"{where}: found {shown(found)}; expected a whole number above 0")
    return found


def _filters(tree: Mapping[str, object], where: str) -> tuple[str, ...]:
    found = tree.get("by", ())
    listed = [found] if isinstance(found, str) else found
    if (
        not isinstance(listed, Sequence)
        or not all(isinstance(each, str) and each for each in listed)
        or len(set(listed)) < len(listed)
    ):
        raise RecipeError(
            f"{where}: found {shown(found)}; expected parts of tensor names, each once, such as "
            "[attn, mlp]"
        )
    return tuple(listed)
