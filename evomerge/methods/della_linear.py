"""DELLA without sign election.

[1] P. T. Deep, R. Bhardwaj, S. Poria. DELLA-Merging: reducing interference in model merging
    through magnitude-based sampling. 2024. https://arxiv.org/abs/2406.11617
"""

from __future__ import annotations

from evomerge.methods.base import merge_method, weight
from evomerge.methods.della_ranks import EPSILON, RESCALE, Ranking
from evomerge.methods.sparsified import LAMBDA, NO_MASK, normalize
from evomerge.methods.sparsify import DENSITY


@merge_method(
    "della_linear",
    base="required",
    params=[weight(), DENSITY, EPSILON, normalize(False), RESCALE, LAMBDA, NO_MASK],
)
class DellaLinear(Ranking):
    """Drops small changes more often than large ones, then sums [1]."""

    elect = False
