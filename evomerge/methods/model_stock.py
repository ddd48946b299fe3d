"""Model stock: how far from the base towards the mean, told by the angle between fine-tunes.

[1] D.-H. Jang, S. Yun, D. Han. Model Stock: all we need is just a few fine-tuned models.
    ECCV 2024. https://arxiv.org/abs/2403.19522
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import gram, row_gram, weighted_sum
from evomerge.kernels.sums import Floats, Shares
from evomerge.methods.base import Blocks, Param, Parameters, merge_method
from evomerge.methods.sphere import norms

if TYPE_CHECKING:
    from torch import Tensor

# Products of lengths below this count as this long, as in mergekit.
MIN_NORMS = 1e-6
# Below this the formula for t has no denominator, and the base is kept.
MIN_DENOMINATOR = 1e-6

FILTER_WISE = Param("filter_wise", False, "one angle for each row, not for the whole tensor")
CLAMP = Param("clamp", False, "keep the way towards the mean within [0, 1]")


@merge_method(
    "model_stock",
    base="required",
    models=(2, None),
    partial="base_alone",
    params=[FILTER_WISE, CLAMP],
)
class ModelStock:
    """Between the base and the mean of the fine-tuned models, by the angle between them [1]."""

    def survey(self, blocks: Blocks) -> Blocks:
        """The blocks: which inner products are needed depends on a parameter."""
        return blocks

    def settle(self, survey: Blocks, blocks: Blocks, parameters: Parameters) -> Shares:
        """``t / N`` of each, ``t = N c / (1 + (N - 1) c)``, with c the mean cosine [1]."""
        by_row = parameters.flag("filter_wise")
        inner = row_gram(blocks) if by_row else gram(blocks)
        models = inner.shape[-1]
        cosine = _mean_cosine(inner)
        denominator = 1.0 + (models - 1) * cosine
        defined = np.abs(denominator) >= MIN_DENOMINATOR
        t = np.where(defined, models * cosine / np.where(defined, denominator, 1.0), 0.0)
        if parameters.flag("clamp"):
            t = np.clip(t, 0.0, 1.0)
        return Shares(np.stack([t / models] * models), "row" if by_row else "tensor")

    def combine(self, block: Block, shares: Shares) -> NDArray | Tensor:
        """``(models, rows, columns)`` of task vectors -> ``(rows, columns)``."""
        return weighted_sum(block, shares)


def _mean_cosine(inner: Floats) -> Floats:
    """``(...,)``: the mean over all pairs of models of the cosine between them."""
    lengths = norms(inner)
    products = np.maximum(lengths[..., :, None] * lengths[..., None, :], MIN_NORMS)
    cosines = np.clip(inner / products, -1.0, 1.0)
    first, second = np.triu_indices(inner.shape[-1], 1)
    mean: Floats = cosines[..., first, second].mean(axis=-1)
    return mean
