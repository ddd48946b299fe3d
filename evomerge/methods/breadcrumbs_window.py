"""What the two Breadcrumbs methods share: dropping the largest and the smallest changes.

[1] M. Davari, E. Belilovsky. Model Breadcrumbs: scaling multi-task model merging with sparse
    masks. ECCV 2024. https://arxiv.org/abs/2312.06795
"""

from __future__ import annotations

from evomerge.kernels.thinning import Thinning
from evomerge.methods.base import Blocks, Param, Parameters
from evomerge.methods.sparsified import Sparsified
from evomerge.methods.sparsify import Magnitudes, middle, middle_by_row

GAMMA = Param(
    "gamma",
    0.01,
    "fraction of the largest changes that is dropped",
    per_model=True,
    search=(0.0, 0.05),
)
RESCALE = Param("rescale", False, "restore each thinned task vector's L1 norm")
TRIM = Param(
    "trim",
    "tensor",
    "where magnitudes are ranked: in each tensor, or [1] in each row",
    options=("tensor", "row"),
)


class Middling(Sparsified):
    """Keeps the middle of each task vector's magnitudes [1]."""

    def thin(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Thinning:
        """The ``density`` that stands below the top ``gamma``."""
        densities, gammas = parameters.each("density"), parameters.each("gamma")
        if parameters.word("trim") == "row":
            return middle_by_row(blocks, densities, gammas)
        return middle(survey, blocks, densities, gammas)
