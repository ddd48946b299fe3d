"""How far the softmax of a row has moved, in NumPy: its exp and log are as fast as compiled ones.

Arrays of float64 are eight times as large as bfloat16, so a block is done in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evomerge.kernels.sums import Floats

# Elements that are done together, or one row if it is longer.
PIECE = 1 << 14


def row_divergences(
    models: Sequence[npt.NDArray[np.generic]], base: npt.NDArray[np.generic], floor: float
) -> Floats:
    """``(models, rows)``, for arrays of ``(rows, columns)``; see ``primitives``."""
    rows, columns = base.shape
    out = np.empty((len(models), rows))
    step = max(1, PIECE // max(1, columns))
    for start in range(0, rows, step):
        piece = slice(start, start + step)
        before = _softmax(base[piece], floor)
        for model, array in enumerate(models):
            after = _softmax(array[piece], floor)
            ratio = after / before
            np.log(ratio, out=ratio)
            ratio *= after
            out[model, piece] = ratio.sum(axis=1)
    return out


def _softmax(rows: npt.NDArray[np.generic], floor: float) -> Floats:
    """Of every row, plus the floor."""
    values: Floats = rows.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    values += floor
    return values
