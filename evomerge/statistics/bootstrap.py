"""Intervals from resampled units, the same ones for every model.

From each task with n units, n - 1 are drawn with replacement [1]: then the spread of the draws is
that of the value itself, not n - 1 / n of it, however many tasks share the units. The tails are
widened from a normal to a t distribution [2], which matters for few units.

[1] J. N. K. Rao, C. F. J. Wu. Resampling inference with complex survey data. 1988.
    https://doi.org/10.1080/01621459.1988.10478591
[2] T. Hesterberg. What teachers should know about the bootstrap. 2015, section 4.3.
    https://doi.org/10.1080/00031305.2015.1089789
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, stdtrit

from evomerge.statistics.arrays import Floats
from evomerge.statistics.sample import Sample

DRAWS = 10_000
# Draws held in memory at once.
CHUNK = 500


def resampled(sample: Sample, seed: Sequence[int], draws: int = DRAWS) -> Floats:
    """``(draws, models)``: the number on resampled units. A row is about one choice of units."""
    rng = np.random.default_rng(seed)
    starts = [*range(0, draws, CHUNK), draws]
    return np.concatenate(
        [
            sample.values([_counts(units, end - start, rng) for units in sample.units])
            for start, end in pairwise(starts)
        ]
    )


def interval(differences: Floats, level: float, freedom: int) -> tuple[float, float]:
    """Where the true difference is: it lies below, and above, with probability ``level`` each.

    Args:
        differences: ``(draws,)``.
        level: of each side, in (0, 0.5).
        freedom: degrees of freedom: units, less one for each task.
    """
    tail = widened(level, freedom)
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)


def widened(level: float, freedom: int) -> float:
    """The share of draws to leave out on a side, so that what is left is wide enough [2]."""
    return float(ndtr(stdtrit(max(1, freedom), level)))


def _counts(units: int, draws: int, rng: np.random.Generator) -> Floats:
    """``(draws, units)``: how often each unit was drawn. A single one stands for itself."""
    if units == 1:
        return np.ones((draws, 1))
    chosen = rng.integers(0, units, (draws, units - 1)) + units * np.arange(draws)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=draws * units)
    return counts.reshape(draws, units).astype(np.float64)
