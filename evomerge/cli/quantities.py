"""Quantities as people write and read them."""

from __future__ import annotations

import re

from evomerge.errors import RecipeError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}


def bytes_in(text: str, where: str) -> int:
    """The number of bytes that ``500MB``, ``5GB`` or ``1GiB`` means.

    Raises:
        RecipeError: it means none, beginning with ``where``.
    """
    found = re.fullmatch(r"(\d{1,30}(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise RecipeError(f"{where}: found '{text}'; expected a size such as 500MB or 5GB")
    return int(float(found[1]) * unit)


def in_words(size: float, unit: str = "B") -> str:
    """A number with three digits and a prefix: ``0.99 GB``, ``494 M``."""
    for prefix in ("", "K", "M", "G"):
        if abs(size) < 1000:  # noqa: PLR2004 - that is what a prefix stands for
            return f"{size:.3g} {prefix}{unit}".rstrip()
        size /= 1000
    return f"{size:.3g} T{unit}"
