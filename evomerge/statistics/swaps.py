"""The paired permutation test: does it matter which model gave which answers?

If neither model is better, then on each unit their results might as well have been swapped. The
p-value is the share of all ways to swap that give a gain as large as the one seen. For a mean this
is the sign-flip test of the differences; for a ratio of sums, both sums are computed again for
each swap, so nothing is linearised and the test stays exact.

[1] B. Phipson, G. Smyth. Permutation p-values should never be zero. Statistical Applications in
    Genetics and Molecular Biology, 2010. https://doi.org/10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from evomerge.statistics.arrays import Flags, Floats
from evomerge.statistics.sample import Column, Sample
from evomerge.statistics.tails import Tails

# So many ways to swap are tried at random, where there are more.
SWAPS = 10_000
# Swaps held in memory at once.
CHUNK = 1000
# Gains that differ by less than this share of the largest are equal but for rounding.
ROUNDING = 1e-9


def swap_test(pair: Sample, seed: Sequence[int], swaps: int = SWAPS) -> Tails:
    """The one-sided p-values of two models.

    All ways to swap are counted where there are at most ``swaps``. Of others, ``swaps`` random
    ones, and the one seen counts among them: so p is never 0 and never too small [1].
    """
    if not pair.units:
        return Tails(1.0, 1.0)
    active = _active(pair)
    count = int(active.sum())
    gains = np.concatenate(
        [
            _gains(pair, active, chosen)
            for chosen in _swaps(count, swaps, np.random.default_rng(seed))
        ]
    )
    seen = float(pair.observed[0] - pair.observed[1])
    slack = ROUNDING * max(abs(seen), float(np.abs(gains).max()))
    greater, less = int((gains >= seen - slack).sum()), int((gains <= seen + slack).sum())
    one = int(2**count > swaps)
    return Tails((greater + one) / (len(gains) + one), (less + one) / (len(gains) + one))


def _active(pair: Sample) -> Flags:
    """``(units,)``, true where a swap changes something."""
    bounds = np.cumsum([0, *pair.units])
    active = np.full(bounds[-1], np.ptp(pair.constants) != 0)
    for each in pair.columns:
        differs = (each.parts[:, 0] != each.parts[:, 1]).any(axis=1)
        active[bounds[each.task] : bounds[each.task + 1]] |= differs
    return active


def _swaps(count: int, most: int, rng: np.random.Generator) -> Iterator[Floats]:
    """``(swaps, count)`` in chunks: 1 where a unit is swapped; all there are, or random ones."""
    if 2**count <= most:
        numbers = np.arange(2**count)[:, None]
        yield (numbers >> np.arange(count) & 1).astype(np.float64)
        return
    for start, end in pairwise([*range(0, most, CHUNK), most]):
        yield rng.integers(0, 2, (end - start, count), np.int8).astype(np.float64)


def _gains(pair: Sample, active: Flags, chosen: Floats) -> Floats:
    """``(swaps,)``: by how much the first model is better after each swap."""
    bounds = np.cumsum([0, *pair.units])
    columns = np.cumsum(active) - 1  # of `chosen`, by unit
    offset = pair.constants[0] - pair.constants[1]
    # The part of the gain that no item explains is spread over the units, and swapped with them.
    gains = offset * (1 - 2 * chosen.sum(axis=1) / len(active)) if offset else np.zeros(len(chosen))
    for each in pair.columns:
        units = slice(bounds[each.task], bounds[each.task + 1])
        of_task = active[units]
        gains = gains + _column_gains(each, of_task, chosen[:, columns[units][of_task]])
    return gains


def _column_gains(column: Column, active: Flags, chosen: Floats) -> Floats:
    sums = column.parts.sum(axis=0)
    moved = chosen @ (column.parts[active, 0] - column.parts[active, 1])
    first = column.aggregation.value(sums[0] - moved)
    second = column.aggregation.value(sums[1] + moved)
    return column.weight * (first - second)
