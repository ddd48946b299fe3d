"""How the config of a run and another one differ, in words that name each place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from evomerge.study.header import canonical

# How much of a value is shown.
_WIDTH = 72

_Path = tuple[str | int, ...]


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What became of ``old`` in ``new``, each a line without a full stop.

    ``recipe.models[1].parameters.weight: search [0, 1] became [0, 1.5]``, or
    ``evaluators: prose was added: {name: perplexity, file: prose.txt}``. Numbers are equal by
    value. An order of keys counts, because it is the order of dimensions and baselines.
    """
    return list(_compare(old, new, ()))


def _compare(old: object, new: object, path: _Path) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_mappings(old, new, path)
    elif isinstance(old, list) and isinstance(new, list) and _nested(old + new):
        yield from _compare_lists(old, new, path)
    elif not _same(old, new):
        yield f"{_begin(path)}{_flow(old)} became {_flow(new)}"


def _compare_mappings(
    old: Mapping[str, object], new: Mapping[str, object], path: _Path
) -> Iterator[str]:
    for key in {**old, **new}:
        inner = (*path, key)
        if key not in old:
            yield f"{_begin(inner)}was added: {_flow(new[key])}"
        elif key not in new:
            yield f"{_begin(inner)}was removed; it was {_flow(old[key])}"
        else:
            yield from _compare(old[key], new[key], inner)
    before = [key for key in old if key in new]
    after = [key for key in new if key in old]
    if before != after:
        place = _join(path) or "config"
        yield f"{place}: the order {', '.join(before)} became {', '.join(after)}"


def _compare_lists(old: list[object], new: list[object], path: _Path) -> Iterator[str]:
    for index in range(max(len(old), len(new))):
        inner = (*path, index)
        if index >= len(old):
            yield f"{_join(inner)}: was added: {_flow(new[index])}"
        elif index >= len(new):
            yield f"{_join(inner)}: was removed; it was {_flow(old[index])}"
        else:
            yield from _compare(old[index], new[index], inner)


def _nested(values: list[object]) -> bool:
    """Whether a list is more than a row of scalars, which reads best as a whole."""
    return any(isinstance(value, Mapping | list) for value in values)


def _same(old: object, new: object) -> bool:
    return json.dumps(canonical(old)) == json.dumps(canonical(new))


def _begin(path: _Path) -> str:
    """``recipe.models[1]: weight `` for a key in something, ``seed: `` for one at the top."""
    if len(path) > 1 and isinstance(path[-1], str):
        return f"{_join(path[:-1])}: {path[-1]} "
    return f"{_join(path)}: "


def _join(path: _Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _flow(value: object) -> str:
    """``value`` as YAML writes it on one line, shortened where it is long."""
    text = _full(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _full(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_full(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_full, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
