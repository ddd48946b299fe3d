"""The JSON files of a model folder, with errors that name file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from evomerge.errors import CheckpointError

Document = dict[str, object]


def read_json(path: Path) -> Document:
    """The object in a JSON file.

    Raises:
        CheckpointError: it cannot be read, is not JSON (file, line and column are named),
            is not one object, or says two things under one key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_json(data, str(path))


def parse_json(data: bytes, where: str) -> Document:
    """The object in JSON text; as `read_json`, for text that stands in ``where``."""
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise CheckpointError(f"{where}: {place}: not valid JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{where}: not text: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise CheckpointError(f"{where}: not usable JSON: nested too deeply") from error
    except _Repeated as error:
        raise CheckpointError(f"{where}: '{error}' stands there twice; expected once") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{where}: holds a {type(document).__name__}; expected an object")
    return document


def mapping_in(document: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    """The object under ``key``; an absent or null one is empty.

    Raises:
        CheckpointError: there is something else under the key.
    """
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{where}: '{key}' is {value!r}; expected an object")
    return value


class _Repeated(Exception):
    """A key that an object holds twice."""


def _without_repeats(pairs: list[tuple[str, object]]) -> Document:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _Repeated(next(key for key in keys if keys.count(key) > 1))
    return document
