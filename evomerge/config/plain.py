"""A config that a Python program gives, as its YAML would have it."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike, fspath

from evomerge.errors import RecipeError
from evomerge.recipe.entry import shown


def plain_tree(value: object, where: str) -> object:
    """``value`` as dicts, lists, texts and numbers, in copies of its own.

    Paths become texts, tuples lists, and numbers of other libraries Python's. What stands in two
    places becomes two things: only a YAML alias makes one hole of two.

    Args:
        value: a config, or a part of one.
        where: its place, for messages: ``config.recipe``.

    Raises:
        RecipeError: something in it cannot be written as YAML.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, Mapping):
        return {str(key): plain_tree(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tree(each, f"{where}.{index}") for index, each in enumerate(value)]
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise RecipeError(
        f"{where}: found {shown(value)}; expected what YAML can hold: texts, numbers, true or "
        "false, lists, mappings"
    )
