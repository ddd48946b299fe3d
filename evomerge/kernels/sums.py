"""What a sum over models takes of each: fixed shares, or thinned votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evomerge.kernels.thinning import Thinning

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """How much of each input a weighted sum takes.

    Attributes:
        values: ``(models,)``, or ``(models, rows)``, or ``(models, columns)`` with the columns of
            ``column_gram``.
        per: what one value holds for.
    """

    values: Floats
    per: Literal["tensor", "row", "column"] = "tensor"


@dataclass(frozen=True)
class Election:
    """How thinned task vectors become one.

    Attributes:
        thinning: which elements survive; None keeps all.
        factors: ``(models,)``, what a surviving element is multiplied with: weight times rescale.
        weights: ``(models,)``, what a model contributes to the divisor where it agrees.
        elect: keep at each element only the models that agree with the sign of the sum.
        normalize: divide by the agreeing weights (only with ``elect``).
        scale: a last factor on the merged task vector: lambda.
    """

    thinning: Thinning
    factors: Floats
    weights: Floats
    elect: bool
    normalize: bool
    scale: float
