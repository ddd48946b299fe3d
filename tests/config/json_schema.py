"""As much of JSON Schema as the schema of a config uses, read in the plainest way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Tree = Mapping[str, Any]

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
# What says nothing about whether a value is right.
SILENT = {"$schema", "$defs", "title", "description", "default", "type", "then", "else"}


def complaints(value: Any, schema: Tree | bool, root: Tree, where: str = "config") -> Iterator[str]:
    """Where ``value`` is not what ``schema`` asks for; ``root`` holds the definitions."""
    schema = resolved(schema, root)
    if not is_of(value, schema.get("type")):
        yield f"{where}: type"
        return
    for keyword in set(schema) - SILENT:
        asked = schema[keyword]
        if keyword == "if":
            branch = "else" if any(complaints(value, asked, root)) else "then"
            yield from complaints(value, schema[branch], root, where)
        elif keyword in INSIDE:
            for key, inner, part in INSIDE[keyword](value, asked, schema):
                yield from complaints(inner, part, root, f"{where}.{key}")
        elif not is_right(keyword, value, asked, root):
            yield f"{where}: {keyword}"


def resolved(schema: Tree | bool, root: Tree) -> Tree:
    """The schema that is meant: true lets all values through, false none."""
    if isinstance(schema, bool):
        return {} if schema else {"enum": []}
    return root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def is_of(value: Any, kind: str | None) -> bool:
    if kind is None:
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, TYPES[kind])


def is_right(keyword: str, value: Any, asked: Any, root: Tree) -> bool:
    if keyword in {"anyOf", "oneOf"}:
        right = sum(not any(complaints(value, each, root)) for each in asked)
        return right == 1 or (keyword == "anyOf" and right > 0)
    return RIGHT[keyword](value, asked)


RIGHT = {
    "required": lambda value, asked: set(asked) <= set(value),
    "minProperties": lambda value, asked: len(value) >= asked,
    "minLength": lambda value, asked: len(value) >= asked,
    "enum": lambda value, asked: value in asked,
    "pattern": lambda value, asked: re.search(asked, value) is not None,
    "minimum": lambda value, asked: value >= asked,
    "exclusiveMinimum": lambda value, asked: value > asked,
}

Inner = Iterator[tuple[Any, Any, Tree | bool]]


def of_properties(value: Tree, asked: Tree, _: Tree) -> Inner:
    yield from ((key, value[key], part) for key, part in asked.items() if key in value)


def of_patterns(value: Tree, asked: Tree, _: Tree) -> Inner:
    for pattern, part in asked.items():
        yield from ((key, inner, part) for key, inner in value.items() if re.search(pattern, key))


def of_others(value: Tree, asked: Tree | bool, schema: Tree) -> Inner:
    known = schema.get("properties", {})
    yield from ((key, inner, asked) for key, inner in value.items() if key not in known)


INSIDE = {
    "properties": of_properties,
    "patternProperties": of_patterns,
    "additionalProperties": of_others,
    "propertyNames": lambda value, asked, _: ((key, key, asked) for key in value),
    "items": lambda value, asked, _: ((i, each, asked) for i, each in enumerate(value)),
}
