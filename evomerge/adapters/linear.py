"""The weighted average of the updates themselves, exactly: factors side by side."""

from __future__ import annotations

import numpy as np

from evomerge.adapters.base import Merged, Task, adapter_method
from evomerge.adapters.updates import Update


@adapter_method("linear", rank="sum")
class Linear:
    """Σ wᵢ ΔWᵢ, of as much rank as all adapters together."""

    def merge(self, task: Task) -> Merged:
        """``[w₁ L₁ | w₂ L₂ | …]`` and ``[R₁ | R₂ | …]``."""
        parts = list(zip(task.weights, task.updates, strict=True))
        left = np.concatenate([weight * update.left for weight, update in parts], axis=1)
        right = np.concatenate([update.right for _, update in parts], axis=1)
        return Merged(Update(left, right))
