"""RAM+ within each tensor: what only one model has changed is made larger.

[1] X. Yuan et al. Behavior knowledge merge in reinforced agentic models. 2026.
    https://arxiv.org/abs/2601.13572
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Param, Parameters, merge_method
from evomerge.methods.overlap import EPSILON, Overlapping, alone_and_shared

R = Param("r", 0.1, "how much a unique change grows with the overlap", search=(0.0, 1.0))
ALPHA = Param("alpha", 0.2, "the most overlap that counts", search=(0.0, 1.0))


@merge_method("ramplus_tl", base="required", params=[R, ALPHA, EPSILON])
class RamPlus(Overlapping):
    """As RAM, with each model's unique changes multiplied by how much it shares with others [1].

    ``1 + r min(alpha, shared / unique)``, with the numbers of elements of the tensor, not, as in
    [1], of the whole model.
    """

    def gains(self, blocks: Blocks, parameters: Parameters) -> Floats:
        """One for each model: it makes up for what averaging takes from the shared changes."""
        epsilon = parameters.number("epsilon")
        alone, shared = alone_and_shared(blocks, epsilon)
        # Without unique changes there is nothing to multiply.
        ratio = shared / np.where(alone > 0, alone, 1.0)
        counted = np.minimum(np.maximum(ratio, 0.0), parameters.number("alpha"))
        gains: Floats = 1.0 + parameters.number("r") * counted
        return gains
