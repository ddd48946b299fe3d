"""What could have been found: the smallest gain that these units would have shown."""

from __future__ import annotations

from math import ceil, log2

from scipy.special import ndtri

# The chance to find it, of which "would have been found" speaks.
POWER = 0.8


def detectable(error: float, level: float) -> float:
    """The smallest true gain that would have been found with a chance of `POWER`.

    Args:
        error: the standard error of the gain, as it was observed.
        level: of the one-sided test, in (0, 0.5).
    """
    return float(ndtri(1 - level) + ndtri(POWER)) * error


def fewest_wins(level: float) -> int:
    """How many items a model must win, and lose none, to pass McNemar's test at ``level``."""
    # k wins of k have mid-p 2 ** -(k + 1).
    return max(1, ceil(log2(1 / level)) - 1)
