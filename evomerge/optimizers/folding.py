"""Bounds for a distribution that knows none: the line is folded into [0, 1] like a fan.

Beyond 1 the values run back to 0, then up again. Unlike clipping, that puts no weight on the edges,
and unlike drawing again it works where the mean stands in a corner of many dimensions, as it does
when a search starts from the base model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def folded(vector: Vector) -> Vector:
    """Each element in [0, 1]: those that were there stay as they are."""
    period = np.abs(vector) % 2.0
    return np.where(period > 1.0, 2.0 - period, period)
