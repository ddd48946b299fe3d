"""NearSwap: the base moves towards another model, but no number by more than a threshold.

[1] Alchemonaut. QuartetAnemoi-70B-t0.0001. 2024.
    https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evomerge.kernels.block import Block, NDArray
from evomerge.methods.base import Blocks, Param, Parameters, merge_method
from evomerge.methods.changes import added, changes, quietly

if TYPE_CHECKING:
    from torch import Tensor

# Smaller differences count as this large, as in mergekit: they are crossed in part only where the
# threshold is smaller still.
MIN_CHANGE = 1e-6

T = Param(
    "t", 1.0, "how far a number may move, in its own units", required=True, search=(0.0, 0.01)
)


@merge_method("nearswap", base="required", models=(1, 1), params=[T])
class NearSwap:
    """Takes the other model's number where it is within ``t`` of the base's, else a step of ``t``.

    The step is that of [1]: the share ``t / |difference|`` of the difference, 1 at most.
    """

    def survey(self, blocks: Blocks) -> None:
        """Nothing to know."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> float:
        """The threshold."""
        return parameters.number("t")

    @quietly
    def combine(self, block: Block, t: float) -> NDArray | Tensor:
        """``(1, rows, columns)`` -> ``(rows, columns)``."""
        (change,) = changes(block)
        reach = change * 0 + t  # so that infinity, too, stays visible
        share = (reach / abs(change).clip(MIN_CHANGE, None)).clip(0.0, 1.0)
        merged: NDArray | Tensor = added(block, share * change)
        return merged
