"""An element as arrays and a plain tree, to be written and read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias, cast, get_args

import numpy as np

from evomerge.alignment.elements import Element, Move
from evomerge.alignment.rotations import Gains

Arrays: TypeAlias = dict[str, np.ndarray]

# What an element is made of, by name.
KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in (*get_args(Move), Gains)}
ARRAY, KIND, FIELDS, ITEMS = "array", "kind", "fields", "items"


def packed(element: Element) -> tuple[Arrays, dict[str, object]]:
    """The arrays of an element by name, and a tree of dicts and scalars that says what they are."""
    arrays: Arrays = {}
    return arrays, {group: _packed(move, group, arrays) for group, move in element.items()}


def unpacked(arrays: Mapping[str, np.ndarray], tree: Mapping[str, object]) -> dict[str, Move]:
    """The element again."""
    return {group: cast("Move", _unpacked(each, arrays)) for group, each in tree.items()}


def _packed(value: object, name: str, arrays: Arrays) -> object:
    if isinstance(value, np.ndarray):
        arrays[name] = np.ascontiguousarray(value)
        return {ARRAY: name}
    if isinstance(value, Mapping):
        return {ITEMS: {key: _packed(v, f"{name}/{key}", arrays) for key, v in value.items()}}
    parts = _fields(value)
    if parts is None:
        return value
    inner = {key: _packed(v, f"{name}/{key}", arrays) for key, v in parts.items()}
    return {KIND: type(value).__name__, FIELDS: inner}


def _unpacked(tree: object, arrays: Mapping[str, np.ndarray]) -> object:
    if not isinstance(tree, Mapping):
        return tree
    if ARRAY in tree:
        return arrays[tree[ARRAY]]
    inner = tree[ITEMS] if ITEMS in tree else tree[FIELDS]
    values = {key: _unpacked(each, arrays) for key, each in inner.items()}
    return values if ITEMS in tree else KINDS[tree[KIND]](**values)


def _fields(value: object) -> Mapping[str, object] | None:
    """The parts of what is made of some; None for a number, a word or nothing."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value._asdict() if isinstance(value, Gains) else None
