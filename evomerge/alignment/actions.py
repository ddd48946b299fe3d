"""What is done along one axis of a tensor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.floating]


class Action(NamedTuple):
    """What an element does along one axis.

    Attributes:
        order: ``(blocks,)``: which block of the axis comes to each place; -1 for zeros.
        factors: ``(blocks, numbers, width)``, by which a block is multiplied there; None for 1.
        width: numbers in a block, before it is multiplied.
        instead: ``(units,)``: what stands there afterwards, whatever stood there before; None for
            what came there.
    """

    order: Indices
    factors: Floats | None
    width: int = 1
    instead: Floats | None = None

    @property
    def size(self) -> int:
        """How many numbers stand along the axis afterwards."""
        width = self.width if self.factors is None else self.factors.shape[1]
        return len(self.order) * width
