"""Breadcrumbs: neither the largest changes nor the smallest.

[1] M. Davari, E. Belilovsky. Model Breadcrumbs: scaling multi-task model merging with sparse
    masks. ECCV 2024. https://arxiv.org/abs/2312.06795
"""

from __future__ import annotations

from evomerge.methods.base import merge_method, weight
from evomerge.methods.breadcrumbs_window import GAMMA, RESCALE, TRIM, Middling
from evomerge.methods.sparsified import LAMBDA, NO_MASK, normalize
from evomerge.methods.sparsify import DENSITY


@merge_method(
    "breadcrumbs",
    base="required",
    params=[weight(), DENSITY, GAMMA, normalize(False), RESCALE, LAMBDA, TRIM, NO_MASK],
)
class Breadcrumbs(Middling):
    """Drops outliers and small changes, then sums [1]."""

    elect = False
