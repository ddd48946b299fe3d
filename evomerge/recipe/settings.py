"""The values under ``parameters:``: scalars, gradients over the layers, and conditional lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, TypeAlias, cast

from pydantic import BeforeValidator, Discriminator, PlainValidator, Tag

from evomerge.recipe.entry import Entry, form, shown


def scalar_in(value: object) -> bool | int | float | str:
    """A value as written, but text that spells a number is that number.

    (YAML 1.1 reads ``1e-3``, without a point, as text.)

    Raises:
        ValueError: it is no scalar, or not finite.
    """
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, str | bool):
        return value
    if not isinstance(value, int | float):
        raise ValueError(
            f"found {shown(value)}; expected a number, true or false, a word, a list of these, "
            "or a list of {filter, value}"
        )
    if not _is_finite(value):
        raise ValueError(f"found {shown(value)}; expected a finite number")
    return value


def _number_in(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if _is_finite(number) else text
    return text


def _is_finite(number: int | float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number beyond the largest float
        return False


Scalar: TypeAlias = Annotated[bool | int | float | str, PlainValidator(scalar_in)]
Gradient: TypeAlias = tuple[Scalar, ...]


def _value_form(value: object) -> str:
    return form("gradient" if isinstance(value, list | tuple) else "scalar")


Value: TypeAlias = Annotated[
    Annotated[Scalar, Tag(form("scalar"))] | Annotated[Gradient, Tag(form("gradient"))],
    Discriminator(_value_form),
]


def _filter(text: object) -> object:
    return None if text == "*" else text


# A part of the names of tensors; None is all tensors.
Filter: TypeAlias = Annotated[str | None, BeforeValidator(_filter)]


class Condition(Entry):
    """One entry of a conditional list: a value for some tensors.

    Attributes:
        filter: a part of the tensor names it is for; None, written ``*`` or left out, is all.
        value: what holds for them.
    """

    filter: Filter = None
    value: Value

    def admits(self, tensor: str) -> bool:
        """Whether the entry is for the tensor of this name."""
        return self.filter is None or self.filter in tensor


def _setting_form(value: object) -> str:
    if isinstance(value, list | tuple) and any(
        isinstance(item, Mapping | Condition) for item in value
    ):
        return form("conditions")
    return _value_form(value)


def listed(value: object) -> object:
    """A conditional list of one entry, where that entry stands without a list."""
    return [value] if isinstance(value, Mapping | Entry) else value


# What a parameter is set to.
Setting: TypeAlias = Annotated[
    Annotated[Scalar, Tag(form("scalar"))]
    | Annotated[Gradient, Tag(form("gradient"))]
    | Annotated[tuple[Condition, ...], Tag(form("conditions"))],
    Discriminator(_setting_form),
    BeforeValidator(listed),
]
Settings: TypeAlias = Mapping[str, Setting]


def conditions(setting: Setting) -> tuple[Condition, ...]:
    """The setting as a conditional list: a scalar or a gradient is one entry for all tensors."""
    if isinstance(setting, tuple) and any(isinstance(item, Condition) for item in setting):
        return cast("tuple[Condition, ...]", setting)
    return (Condition.model_construct(filter=None, value=cast("Value", setting)),)


def scalars(setting: Setting) -> Iterator[bool | int | float | str]:
    """Every single value in a setting, in reading order, the anchors of gradients included."""
    for condition in conditions(setting):
        yield from condition.value if isinstance(condition.value, tuple) else (condition.value,)


def filters(setting: Setting) -> tuple[str, ...]:
    """The filters of a setting, in reading order; empty for a scalar or a gradient."""
    return tuple(entry.filter for entry in conditions(setting) if entry.filter is not None)
