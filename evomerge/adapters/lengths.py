"""The lengths that DoRA [1] brings the rows of a matrix to: averaged apart from its update.

With DoRA a row of a matrix is m (w + δw) / ‖w + δw‖, m its trained length. Without it the same row
has the length ‖w + δw‖, and ‖w‖ where the adapter leaves the matrix alone; so each adapter has
lengths, whether it trained them or not, and the mean is over all of them.

[1] S.-Y. Liu et al. DoRA: weight-decomposed low-rank adaptation. ICML 2024.
    https://arxiv.org/abs/2402.09353
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evomerge.adapters.adapter import blocks
from evomerge.adapters.sources import Matrix, Sources
from evomerge.adapters.updates import Floats, Update
from evomerge.errors import MergeError


def merged_lengths(
    sources: Sources, matrix: Matrix, updates: Sequence[Update], weights: Floats, scale: float
) -> Floats:
    """``(outputs,)``: the base's lengths, and ``scale`` times the mean of how the adapters' differ.

    Args:
        sources: base and adapters.
        matrix: whose rows they are.
        updates: of each adapter.
        weights: ``(adapters,)``, which sum to 1.
        scale: 1 gives the mean itself.

    Raises:
        MergeError: a length falls below 0.
    """
    trained = [adapter.lengths(matrix.name) for adapter in sources.adapters]
    zero = Update.zero(matrix.shape)
    untrained = [
        update for update, own in zip(updates, trained, strict=True) if own is None and update.rank
    ]
    start, *others = lengths_of(sources, matrix, [zero, *untrained])
    rest = iter(others)
    found = start.copy()
    for update, own, weight in zip(updates, trained, weights, strict=True):
        lengths = own if own is not None else next(rest) if update.rank else start
        found += scale * weight * (lengths - start)
    if (found < 0).any():
        raise MergeError(
            f"{matrix.name}: {int((found < 0).sum())} of its lengths (DoRA) fall below 0 with "
            f"scale {scale:g}; take a smaller scale, or weights that are not below 0"
        )
    return found


def lengths_of(sources: Sources, matrix: Matrix, updates: Sequence[Update]) -> list[Floats]:
    """For each update ``(outputs,)``: the lengths of the base's rows, with the update added."""
    squares = np.zeros((len(updates), matrix.shape[0]))
    stored = matrix.shape[::-1] if matrix.turned else matrix.shape
    for rows in blocks(stored):
        block = sources.base.load(matrix.source, rows).astype(np.float64)
        for number, update in enumerate(updates):
            if matrix.turned:
                changed = block + update.right[rows] @ update.left.T
                squares[number] += np.square(changed).sum(axis=0)
            else:
                changed = block + update.left[rows] @ update.right.T
                squares[number, rows] = np.square(changed).sum(axis=1)
    return list(np.sqrt(squares))
