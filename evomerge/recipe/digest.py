"""One name for all spellings of a recipe."""

from __future__ import annotations

import json
from hashlib import sha256


def digest_of(tree: object) -> str:
    """The SHA-256 of a tree of dicts, lists and scalars: 64 hexadecimal digits.

    The order of keys does not count, nor does a number's type: 1 and 1.0 are one number, true is
    not a number. The order of lists counts.
    """
    text = json.dumps(_canonical(tree), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _canonical(value: object) -> object:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
