"""What the two DELLA methods share: dropping at random, but large changes less often.

[1] P. T. Deep, R. Bhardwaj, S. Poria. DELLA-Merging: reducing interference in model merging
    through magnitude-based sampling. 2024. https://arxiv.org/abs/2406.11617
"""

from __future__ import annotations

import numpy as np

from evomerge.errors import MergeError
from evomerge.kernels.primitives import ranked_chance
from evomerge.kernels.thinning import Ranked, Thinning
from evomerge.methods.base import Blocks, Param, Parameters
from evomerge.methods.sparsified import Sparsified
from evomerge.methods.sparsify import Magnitudes, in_part, rank_probabilities
from evomerge.noise import DRAWS

EPSILON = Param(
    "epsilon",
    0.15,
    "half the difference between the chances of the largest and the smallest change",
    per_model=True,
    search=(0.0, 1.0),
)
RESCALE = Param(
    "rescale",
    True,
    "true or l1: restore the L1 norm; probability: divide each by its chance [1]; false: neither",
    options=(True, False, "l1", "probability"),
)


class Ranking(Sparsified):
    """Keeps an element with a chance that grows with the rank of its magnitude in its row [1]."""

    def check(self, parameters: Parameters) -> None:
        """Every chance must lie strictly between 0 and 1."""
        # Below zero, mergekit's epsilon favours the small changes.
        for density, epsilon in zip(
            parameters.each("density"), np.abs(parameters.each("epsilon")), strict=True
        ):
            if 0.0 < density < 1.0 and not (density - epsilon > 0.0 and density + epsilon < 1.0):
                raise MergeError(
                    f"epsilon {epsilon:g} does not fit density {density:g}; density - epsilon and "
                    f"density + epsilon must lie between 0 and 1: epsilon below "
                    f"{min(density, 1.0 - density):g}"
                )

    def draws(self, parameters: Parameters) -> bool:
        """Unless every model is kept or dropped whole."""
        return in_part(parameters.each("density"))

    def thin(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Thinning:
        """Each element's fate; remembered as bits where the L1 norm is needed as well."""
        densities = parameters.each("density")
        if (densities >= 1.0).all():
            return None
        chances = rank_probabilities(densities, parameters.each("epsilon"), blocks.columns)
        thresholds = np.rint(chances * DRAWS).astype(np.int64)
        if parameters.word("rescale") == "probability":
            return Ranked(thresholds, 1.0 / np.where(chances > 0.0, chances, 1.0))
        return ranked_chance(blocks, thresholds)
