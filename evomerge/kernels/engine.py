"""The two engines that compute on blocks: fused CPU kernels, and torch on any device."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import numpy.typing as npt

from evomerge.kernels.block import Block, Counts, Floats, NDArray
from evomerge.kernels.thinning import Cuts, Thinning

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.kernels.primitives import Election, Shares


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
        """Adds each row's products to ``total``: ``(models, models, columns)``."""

    def magnitude_sums(self, block: Block, thinning: Thinning) -> Floats:
        """``(tiles, models)``: L1 norms after thinning."""

    def count_magnitudes(self, block: Block, counts: Counts) -> None:
        """Adds to ``counts``: ``(models, UPPER_BINS)``."""

    def count_within(self, block: Block, models: Counts, bins: Counts, counts: Counts) -> None:
        """Adds to ``counts``: ``(queries, LOWER_BINS)``."""

    def nth_equal(self, block: Block, model: int, bits: int, nth: int) -> tuple[int, int]:
        """The nth equal element's index in the block, or -1, and how many are still to find."""

    def ranked_chance(self, block: Block, thresholds: Counts) -> npt.NDArray[np.uint8]:
        """``(models, rows, bytes)`` packed bits; see ``primitives.ranked_chance``."""

    def row_cuts(self, block: Block, ranks: Counts) -> Cuts:
        """The cuts of the block's rows; see ``primitives.row_cuts``."""


def fused_engine() -> Engine | None:
    """The compiled kernels, or None, with a warning that says why they cannot run."""
    try:
        return cast(Engine, importlib.import_module("evomerge.kernels.fused"))
    except (ImportError, RuntimeError, OSError) as error:
        warnings.warn(
            f"the compiled CPU kernels are not available ({error}); merging with torch, slower",
            UserWarning,
            stacklevel=2,
        )
        return None


def reference_engine() -> Engine:
    """The torch implementation, which runs on any device."""
    return cast(Engine, importlib.import_module("evomerge.kernels.reference"))
