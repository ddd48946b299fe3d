"""Intervals from resampled units, the same ones for every model.

From each task with n units, n - 1 are drawn with replacement [1]: then the spread of the draws is
that of the value itself, however few units a task has; n draws would make it too small. The tails
are widened from a normal to a t distribution [2], which matters for few units in all.

[1] J. N. K. Rao, C. F. J. Wu. Resampling inference with complex survey data. 1988.
    https://doi.org/10.1080/01621459.1988.10478591
[2] T. Hesterberg. What teachers should know about the bootstrap. 2015, section 4.3.
    https://doi.org/10.1080/00031305.2015.1089789
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, stdtrit

from evomerge.statistics.arrays import Floats, Sizes
from evomerge.statistics.sample import Sample

DRAWS = 10_000
# Draws held in memory at once.
CHUNK = 500
# With so many units of a kind on average, counts are drawn by kind; else unit by unit: faster.
FEW = 4


def resampled(sample: Sample, seed: Sequence[int], draws: int = DRAWS) -> Floats:
    """``(draws, models)``: the number on resampled units. A row is about one choice of units."""
    rng = np.random.default_rng(seed)
    kinds, sizes = _kinds(sample)
    starts = [*range(0, draws, CHUNK), draws]
    return np.concatenate(
        [
            kinds.values([_counts(each, end - start, rng) for each in sizes])
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


def _kinds(sample: Sample) -> tuple[Sample, list[Sizes]]:
    """One unit of each kind, and task by task how many there are of it.

    Units are of a kind if all models did the same on them. Two models that are right or wrong make
    four kinds, however many items there are: to draw among these is to draw among the items.
    """
    columns = list(sample.columns)
    sizes = []
    for task, units in enumerate(sample.units):
        mine = [index for index, each in enumerate(columns) if each.task == task]
        rows = np.concatenate([columns[index].parts.reshape(units, -1) for index in mine], axis=1)
        _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
        sizes.append(counts)
        for index in mine:
            columns[index] = replace(columns[index], parts=columns[index].parts[first])
    kinds = tuple(len(each) for each in sizes)
    return replace(sample, units=kinds, columns=tuple(columns)), sizes


def _counts(sizes: Sizes, draws: int, rng: np.random.Generator) -> Floats:
    """``(draws, kinds)``: how many units of each kind were drawn. A lone one stands for itself."""
    units, kinds = int(sizes.sum()), len(sizes)
    if units == 1:
        return np.ones((draws, 1))
    if kinds * FEW < units:
        return rng.multinomial(units - 1, sizes / units, draws).astype(np.float64)
    chosen = np.repeat(np.arange(kinds), sizes)[rng.integers(0, units, (draws, units - 1))]
    places = chosen + kinds * np.arange(draws)[:, None]
    return np.bincount(places.ravel(), minlength=draws * kinds).reshape(draws, kinds).astype(float)
