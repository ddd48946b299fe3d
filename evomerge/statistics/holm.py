"""Several tests at once: Holm's step-down procedure [1].

The chance that any of them finds something where there is nothing stays below the level.

[1] S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of
    Statistics, 1979. https://www.jstor.org/stable/4615733
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """``(tests,)``: adjusted p-values, in the same order; each at most the level is a finding."""
    adjusted = [1.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def holm_levels(ps: Sequence[float], level: float) -> list[float]:
    """``(tests,)``: the level at which each test was held against its p-value.

    The smallest p meets ``level`` over the number of tests, the next one over one less, as long
    as they are findings. From the first that is none on, nothing is tested any more, and the rest
    share its level.
    """
    levels = [level] * len(ps)
    standing = len(ps)
    for index in sorted(range(len(ps)), key=lambda index: ps[index]):
        levels[index] = level / standing
        if ps[index] <= levels[index]:
            standing = max(1, standing - 1)
    return levels
