"""What a parameter is for one tensor: scopes, filters and gradients, as in mergekit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from evomerge.errors import RecipeError
from evomerge.recipe.settings import Gradient, Scalar, Setting, Settings, conditions

V = TypeVar("V")
# Reads a scalar as one type; the second argument says where it stands, for the message.
Reader: TypeAlias = Callable[[Scalar, str], V]

_FLAGS: Mapping[object, bool] = MappingProxyType(
    dict.fromkeys((1, "true", "yes", "on", "t", "y"), True)
    | dict.fromkeys((0, "false", "no", "off", "f", "n"), False)
)


def as_number(value: Scalar, where: str) -> float:
    """The value as a number; true is 1 and false is 0.

    Raises:
        RecipeError: it is a word.
    """
    if isinstance(value, str):
        raise RecipeError(f"{where}: found '{value}'; expected a number")
    return float(value)


def as_whole(value: Scalar, where: str) -> int:
    """The value as a whole number.

    Raises:
        RecipeError: it is not one.
    """
    number = as_number(value, where)
    if not number.is_integer():
        raise RecipeError(f"{where}: found {value}; expected a whole number")
    return int(number)


def as_flag(value: Scalar, where: str) -> bool:
    """The value as true or false: also 1, ``yes``, ``on``, and 0, ``no``, ``off``.

    Raises:
        RecipeError: it is neither.
    """
    flag = _FLAGS.get(value.lower() if isinstance(value, str) else value)
    if flag is None:
        raise RecipeError(f"{where}: found {value!r}; expected true or false")
    return flag


def as_word(value: Scalar, where: str) -> str:
    """The value as a word.

    Raises:
        RecipeError: it is a number, true or false.
    """
    if not isinstance(value, str):
        raise RecipeError(f"{where}: found {value!r}; expected a word")
    return value


def as_written(value: Scalar, where: str) -> Scalar:  # noqa: ARG001 -- one of the readers
    """The value itself; all numbers are floats."""
    return value if isinstance(value, bool | str) else float(value)


def look_up(name: str, scopes: Sequence[Settings], tensor: str, t: float) -> Scalar | None:
    """The value of a parameter for one tensor, as written; None if no scope has one.

    Lists of numbers are interpolated; of lists that hold a flag or a word, each value holds until
    the next. The arguments are those of `look_up_as`.
    """
    return look_up_as(as_written, name, scopes, tensor, t)


def look_up_as(
    read: Reader[V], name: str, scopes: Sequence[Settings], tensor: str, t: float
) -> V | None:
    """The value of a parameter for one tensor, as the type declared; None if no scope has one.

    Args:
        read: the type, such as `as_number`. It decides what lies between two values of a list:
            numbers are interpolated, flags and words hold until the next.
        name: of the parameter.
        scopes: the parameters of the source (left out for a parameter that the models share),
            of the slice and of the recipe. The first that yields a value decides.
        tensor: name of the tensor, which filters look at: of the input for a parameter of one
            model, of the output for a shared one.
        t: where the tensor stands in a gradient, in [0, 1]: 0 is its first value.

    Raises:
        RecipeError: from ``read``.
    """
    for scope in scopes:
        value = _choose(scope[name], tensor) if name in scope else ()
        if value != ():
            return _evaluate(value, t, read, f"parameter '{name}' of {tensor}")
    return None


def _choose(setting: Setting, tensor: str) -> Scalar | Gradient:
    """The value of the first condition for this tensor; an empty list if there is none."""
    if not isinstance(setting, tuple):
        return setting
    return next((entry.value for entry in conditions(setting) if entry.admits(tensor)), ())


def _evaluate(value: Scalar | Gradient, t: float, read: Reader[V], where: str) -> V:
    if not isinstance(value, tuple):
        return read(value, where)
    anchors = [read(anchor, where) for anchor in value]
    s = t * (len(anchors) - 1)
    i = int(s)
    numbers = [g for g in anchors if isinstance(g, int | float) and not isinstance(g, bool)]
    if len(numbers) < len(anchors):
        return anchors[i]
    following = numbers[min(i + 1, len(numbers) - 1)]
    return read((1 - (s - i)) * numbers[i] + (s - i) * following, where)
