"""Some whole rows of one tensor in every model, where they stand, and what computes on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from evomerge.kernels.sums import Election, Floats, Shares
from evomerge.kernels.thinning import Cuts, Thinning
from evomerge.noise import Key

if TYPE_CHECKING:
    from torch import Tensor

NDArray = npt.NDArray[np.generic]
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


class Engine(Protocol):
    """What ``evomerge.kernels.fused`` and ``evomerge.kernels.reference`` both offer."""

    def weighted_sum(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """See ``primitives.weighted_sum``."""

    def elected_sum(self, block: Block, election: Election) -> NDArray | Tensor:
        """See ``primitives.elected_sum``."""

    def all_finite(self, block: Block) -> list[bool]:
        """For each input, and the base last if there is one: free of NaN and infinity?"""

    def gram(self, block: Block, span: int) -> Floats:
        """``(spans, models, models)``: inner products of each run of ``span`` elements."""

    def column_gram(self, block: Block, total: Floats) -> None:
        """Adds each row's products to ``total``, ``(models, models, columns)``: the lower half."""

    def magnitude_sums(self, block: Block, thinning: Thinning, *, before: bool) -> Floats:
        """``(tiles, kinds, models)``: L1 norms after thinning, and ahead of these the whole ones.

        The kinds are two with ``before``, and else one.
        """

    def count_magnitudes(self, block: Block, counts: Counts) -> None:
        """Adds to ``counts``: ``(models, UPPER_BINS)``."""

    def count_within(self, block: Block, models: Counts, bins: Counts, counts: Counts) -> None:
        """Adds to ``counts``: ``(queries, LOWER_BINS)``; no query comes twice."""

    def tally(self, block: Block, model: int, keys: Counts, counts: Counts, room: int) -> int:
        """Enters all magnitudes of a model; the room left, or -1; see ``primitives.tallies``."""

    def nth_equal(self, block: Block, model: int, bits: int, nth: int) -> tuple[int, int]:
        """The nth equal element's index in the block, or -1, and how many are still to find."""

    def ranked_chance(self, block: Block, thresholds: Counts) -> npt.NDArray[np.uint8]:
        """``(models, rows, bytes)`` packed bits; see ``primitives.ranked_chance``."""

    def row_cuts(self, block: Block, ranks: Counts) -> Cuts:
        """The cuts of the block's rows; see ``primitives.row_cuts``."""

    def row_divergences(self, block: Block, floor: float) -> Floats:
        """``(models, rows)``; see ``primitives.row_divergences``."""
