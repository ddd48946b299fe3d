"""The merge methods and their parameters as tables in Markdown, for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from evomerge.methods.base import Base, Declaration, Param, Value

BASES: Mapping[Base, str] = {
    "input": "one of the models, if given",
    "first": "required, one of the models",
    "optional": "beside the models, if given",
    "required": "required, beside the models",
}


def methods_table(methods: Iterable[Declaration]) -> str:
    """One row for each method: what it does, its base, how many models, its parameters."""
    rows = [
        (
            f"`{method.name}`",
            _prose(method.doc),
            BASES[method.base],
            _count(*method.models),
            ", ".join(f"`{name}`" for name in method.params),
        )
        for method in methods
    ]
    return _table(("method", "what it does", "`base_model`", "models", "parameters"), rows)


def parameters_table(methods: Iterable[Declaration]) -> str:
    """One row for each parameter, however many methods share it, in alphabetical order."""
    users: dict[Param, list[str]] = {}
    for method in methods:
        for param in method.params.values():
            users.setdefault(param, []).append(f"`{method.name}`")
    rows = [
        (
            f"`{param.name}`",
            _prose(param.doc),
            "required" if param.required else f"`{_written(param.default)}`",
            _range(param),
            "model" if param.per_model else "tensor",
            ", ".join(names),
        )
        for param, names in sorted(users.items(), key=lambda entry: entry[0].name)
    ]
    heads = ("parameter", "what it means", "default", "options or range", "a value for each", "of")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _prose(text: str) -> str:
    """A docstring's line without its references."""
    return re.sub(r" ?\[\d\]", "", text).rstrip(".").replace("``", "`")


def _count(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _range(param: Param) -> str:
    """What may be chosen from, or what a search explores."""
    if param.options:
        return " ".join(f"`{_written(option)}`" for option in param.options)
    if param.search is not None:
        return "{:g} to {:g}".format(*param.search)
    return "`true` `false`" if isinstance(param.default, bool) else ""


def _written(value: Value) -> str:
    """A value as in a recipe."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
