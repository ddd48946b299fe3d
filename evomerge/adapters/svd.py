"""The weighted average of the updates, cut to a rank by its singular values."""

from __future__ import annotations

from evomerge.adapters.base import RANK, Merged, Task, adapter_method
from evomerge.adapters.chordal import chordal_mean


@adapter_method("svd", RANK)
class Svd:
    """The nearest update of a rank to Σ wᵢ ΔWᵢ."""

    def merge(self, task: Task) -> Merged:
        """The truncated SVD of the sum."""
        return Merged(chordal_mean(task))
