"""Quantities as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evomerge.errors import RecipeError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
# What three digits show as 1000.
_ROUNDED_UP = 999.5


def bytes_in(text: str, where: str) -> int:
    """The number of bytes that ``500MB``, ``5GB`` or ``1GiB`` means.

    Raises:
        RecipeError: it means none, beginning with ``where``.
    """
    found = re.fullmatch(r"(\d{1,30}(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise RecipeError(f"{where}: found '{text[:20]}'; expected a size such as 500MB or 5GB")
    return int(float(found[1]) * unit)


def in_words(nbytes: float) -> str:
    """A number of bytes with three digits: ``0.99 GB``."""
    return _short(nbytes, (" B", " KB", " MB", " GB", " TB"))


def count_in_words(count: float) -> str:
    """A number of parameters with three digits: ``494 M``, ``7.24 B``."""
    return _short(count, ("", " K", " M", " B", " T"))


def _short(number: float, units: Sequence[str]) -> str:
    """Three digits and the unit, each a thousand times the one before."""
    rank = 0
    while number >= _ROUNDED_UP and rank < len(units) - 1:
        number /= 1000
        rank += 1
    return f"{number:.3g}{units[rank]}"
