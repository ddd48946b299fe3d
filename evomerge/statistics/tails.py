"""The two one-sided p-values of a comparison."""

from __future__ import annotations

from typing import NamedTuple


class Tails(NamedTuple):
    """How likely what was seen, or more, would be if neither model were better.

    Attributes:
        greater: against "the first is not better", in [0, 1].
        less: against "the second is not better", in [0, 1].
    """

    greater: float
    less: float
