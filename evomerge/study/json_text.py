"""One line of JSON for a tree. Floats come back as they were; NaN and infinity are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite

from evomerge.errors import StudyError


def write_json(tree: object, where: str) -> bytes:
    """``tree`` on one line, keys in its order; ``where`` is what messages call it.

    Raises:
        StudyError: it holds NaN or infinity, which JSON has no way to write.
    """
    try:
        return json.dumps(tree, separators=(",", ":"), allow_nan=False).encode("ascii")
    except ValueError as error:
        for place, value in _not_finite(tree, where):
            raise StudyError(f"{place}: found {value}; only finite numbers are recorded") from error
        raise


def _not_finite(tree: object, place: str) -> Iterator[tuple[str, float]]:
    """Where in ``tree`` there are NaN and infinities."""
    if isinstance(tree, float) and not isfinite(tree):
        yield place, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _not_finite(value, f"{place}: {key}")
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from _not_finite(value, f"{place}[{index}]")
