"""RAM: averages only over the models that have changed a number.

[1] X. Yuan et al. Behavior knowledge merge in reinforced agentic models. 2026.
    https://arxiv.org/abs/2601.13572
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Parameters, merge_method
from evomerge.methods.overlap import EPSILON, Overlapping


@merge_method("ram", base="required", params=[EPSILON])
class Ram(Overlapping):
    """Adds at each element the mean of those task vectors that change it [1]."""

    def gains(self, blocks: Blocks, parameters: Parameters) -> Floats:
        """None."""
        return np.ones(blocks.models)
