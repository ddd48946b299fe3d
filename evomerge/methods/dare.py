"""What DARE's two methods share: dropping at random, and making up for it.

[1] L. Yu et al. Language models are Super Mario: absorbing abilities from homologous models as a
    free lunch. ICML 2024. https://arxiv.org/abs/2311.03099
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.sums import Floats
from evomerge.kernels.thinning import Chance, Thinning
from evomerge.methods.base import Blocks, Param, Parameters
from evomerge.methods.sparsified import Sparsified
from evomerge.methods.sparsify import Magnitudes, in_part

RESCALE = Param(
    "rescale",
    True,
    "true or l1: restore the L1 norm; density: divide by the density [1]; false: neither",
    options=(True, False, "l1", "density"),
)


class Dropping(Sparsified):
    """Keeps each element with probability ``density``, by addressed noise [1]."""

    def draws(self, parameters: Parameters) -> bool:
        """Unless every model is kept or dropped whole."""
        return in_part(parameters.each("density"))

    def thin(self, survey: Magnitudes, blocks: Blocks, parameters: Parameters) -> Thinning:
        """A chance for each model, unless all are kept whole."""
        densities = parameters.each("density")
        return None if (densities >= 1.0).all() else Chance.of(tuple(densities))

    def factors(
        self, survey: Magnitudes, blocks: Blocks, thinning: Thinning, parameters: Parameters
    ) -> Floats:
        """``1 / density`` [1], or what restores the L1 norm."""
        if parameters.word("rescale") == "density":
            densities = np.clip(parameters.each("density"), 0.0, 1.0)
            return 1.0 / np.where(densities > 0.0, densities, 1.0)
        return super().factors(survey, blocks, thinning, parameters)
