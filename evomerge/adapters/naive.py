"""The average of the factors one by one, as many tools do it. It is not a mean of the updates.

Depends on the gauge that each adapter happens to have been trained in: (B G, G⁻¹ A) is the same
update as (B, A), and gives another result. Here for comparison.
"""

from __future__ import annotations

import numpy as np

from evomerge.adapters.base import Merged, Task, adapter_method
from evomerge.adapters.updates import Floats, Update


@adapter_method("naive")
class Naive:
    """(Σ wᵢ Bᵢ)(Σ wᵢ Aᵢ): depends on the gauge, so only for comparison."""

    def merge(self, task: Task) -> Merged:
        """Both averages; factors of less rank are filled up with zeros."""
        rank = max(update.rank for update in task.updates)
        parts = list(zip(task.weights, task.updates, strict=True))
        left = sum((w * _padded(update.left, rank) for w, update in parts), start=np.zeros(()))
        right = sum((w * _padded(update.right, rank) for w, update in parts), start=np.zeros(()))
        return Merged(Update(left, right))


def _padded(factor: Floats, rank: int) -> Floats:
    return np.pad(factor, ((0, 0), (0, rank - factor.shape[1])))
