"""Numbers, durations and scores as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evomerge.trial import Score

MINUTE, HOUR = 60.0, 3600.0
# From here on four digits say more than three decimals do.
LARGE = 10.0
# What whole seconds show as 60.
_ROUNDED_UP = 59.5


def number(value: float) -> str:
    """A score: three decimals without the zero before them, four digits if it is large."""
    if abs(value) >= LARGE:
        return f"{value:.4g}"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and text.lstrip("-")[0] == "0" else text


def signed(value: float) -> str:
    """A difference of scores, its sign always there."""
    return number(value) if value < 0 else f"+{number(value)}"


def duration(seconds: float) -> str:
    """A stretch of time: ``45 ms``, ``3.1 s``, ``4 min``, ``2.5 h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _ROUNDED_UP:
        return f"{seconds:.1f} s" if seconds < LARGE else f"{seconds:.0f} s"
    if seconds < HOUR:
        minutes = seconds / MINUTE
        text = f"{minutes:.1f}" if minutes < LARGE else f"{minutes:.0f}"
        return f"{text.removesuffix('.0')} min"
    return f"{seconds / HOUR:.1f} h"


def scores(given: Mapping[str, Score], names: Iterable[str]) -> str:
    """The scores of these names in one line; one that is missing is left out."""
    return "  ".join(f"{name} {number(given[name].value)}" for name in names if name in given)


def counted(count: int, what: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
