"""Some whole rows of one tensor in every model, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evomerge.noise import Key

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.kernels.engine import Engine

NDArray = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Sums are folded over tiles of this many elements, rounded to whole rows. The tiles depend on a
# tensor's shape alone, so no block size and no number of threads can change a sum's last bit.
TILE = 1 << 16


@dataclass(frozen=True)
class Where:
    """The place of a block.

    Attributes:
        row: index of the block's first row in its tensor.
        columns: elements in one row.
        tile: elements that one partial sum covers: whole rows, and a fraction of a block.
        keys: for each model, the noise keys of this output tensor.
        pool: elements that stand before this tensor where several tensors count as one vector.
    """

    row: int
    columns: int
    tile: int
    keys: tuple[Key, ...]
    pool: int = 0

    @property
    def offset(self) -> int:
        """Flat index of the block's first element in its tensor."""
        return self.row * self.columns


@dataclass(frozen=True)
class Block:
    """``(rows, columns)`` of every model, of one element type.

    Attributes:
        inputs: one array per model, the base excepted.
        base: the base model's rows when methods work on task vectors (input minus base).
        out: where a fused kernel puts its result: ``(rows, columns)`` of the output's type.
        where: the block's place in its tensor.
        engine: what computes on these arrays.
    """

    inputs: Sequence[NDArray | Tensor]
    base: NDArray | Tensor | None
    out: NDArray | None
    where: Where
    engine: Engine

    @property
    def rows(self) -> int:
        """How many rows the block has."""
        return int(self.inputs[0].shape[0])

    @property
    def size(self) -> int:
        """Elements of one model in the block."""
        return self.rows * self.where.columns
