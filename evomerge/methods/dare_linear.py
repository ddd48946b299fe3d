"""DARE without sign election.

[1] L. Yu et al. Language models are Super Mario: absorbing abilities from homologous models as a
    free lunch. ICML 2024. https://arxiv.org/abs/2311.03099
"""

from __future__ import annotations

from evomerge.methods.base import merge_method, weight
from evomerge.methods.dare import RESCALE, Dropping
from evomerge.methods.sparsified import LAMBDA, NO_MASK, normalize
from evomerge.methods.sparsify import DENSITY


@merge_method(
    "dare_linear",
    base="required",
    params=[weight(), DENSITY, normalize(False), RESCALE, LAMBDA, NO_MASK],
)
class DareLinear(Dropping):
    """Drops at random, then sums [1]."""

    elect = False
