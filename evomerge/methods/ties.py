"""TIES: trim, elect sign, merge.

[1] P. Yadav et al. TIES-Merging: resolving interference when merging models. NeurIPS 2023.
    https://arxiv.org/abs/2306.01708
"""

from __future__ import annotations

from evomerge.kernels.thinning import Thinning
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, weight
from evomerge.methods.sparsified import LAMBDA, NO_MASK, Sparsified, normalize
from evomerge.methods.sparsify import DENSITY, Magnitudes, trim

RESCALE = Param("rescale", False, "restore each trimmed task vector's L1 norm")
TRIM = Param(
    "trim",
    "tensor",
    "where magnitudes are ranked: in each tensor, or [1] in the whole model",
    options=("tensor", "global"),
)


@merge_method(
    "ties",
    base="required",
    params=[weight(), DENSITY, normalize(True), RESCALE, LAMBDA, TRIM, NO_MASK],
)
class Ties(Sparsified):
    """Keeps each model's largest changes, then at each element those that agree in sign [1]."""

    elect = True

    def pools(self, parameters: Parameters) -> bool:
        """Whether all tensors are ranked together."""
        return parameters.word("trim") == "global"

    def thin(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Thinning:
        """The top ``density`` of each task vector."""
        return trim(survey, blocks, parameters.each("density"))
