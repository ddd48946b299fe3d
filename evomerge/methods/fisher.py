"""Fisher merging: each number from the models that are sure of it.

[1] M. Matena, C. Raffel. Merging models with Fisher-weighted averaging. NeurIPS 2022.
    https://arxiv.org/abs/2111.09832
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, weight
from evomerge.methods.measured import (
    EMPIRICAL_FISHER,
    FISHER,
    Double,
    Measured,
    check_weights,
    double,
    mean_of,
    numbers_of,
    shares_of,
    stepped,
)

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = Param("floor", 1e-6, "no model's Fisher information counts as less")
NORMALIZE = Param("normalize", False, "divide each model's Fisher information by its length")
EMPIRICAL = Param("empirical", False, "gradients of the data's own tokens, not of drawn ones")


@dataclass(frozen=True)
class Sureness:
    """How much each number of each model counts.

    Attributes:
        weights: one for each model.
        measured: the diagonals; none for a tensor that was not measured.
        floor: the least.
        normalize: whether each model's whole diagonal has length 1 first.
    """

    weights: Floats
    measured: Sequence[Measured]
    floor: float
    normalize: bool

    def of(self, model: int, block: Block) -> Double:
        """``(rows, columns)``: the weights of one model's numbers."""
        each = self.measured[model]
        found = double(each.read(slice(block.where.row, block.where.row + block.rows)))
        unit = each.norm if self.normalize and each.norm else 1.0
        scaled: Double = self.weights[model] * np.maximum(found / unit, self.floor)
        return scaled.reshape(block.rows, block.where.columns)


@merge_method(
    "fisher",
    base="input",
    params=[weight(required=False, search=(0.0, 1.5)), FLOOR, NORMALIZE, EMPIRICAL],
)
class Fisher:
    """The mean of the models, each number weighted by its Fisher information [1].

    That is how much the model's predictions depend on the number: the square of the gradient of
    the log-probability of an outcome that the model itself draws, on average over the data.
    """

    def check(self, parameters: Parameters) -> None:
        """Weights and floor are not negative, and some weight is there."""
        check_weights(parameters.each("weight"))
        if parameters.number("floor") < 0:
            raise MergeError(f"the floor {parameters.number('floor'):g}; expected 0 or more")

    def measures(self, parameters: Parameters) -> str:
        """The diagonal of the Fisher information."""
        return EMPIRICAL_FISHER if parameters.flag("empirical") else FISHER

    def survey(self, blocks: Blocks) -> None:
        """Nothing but what was measured."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Sureness:
        """The weights of the models, with the diagonals."""
        return Sureness(
            shares_of(parameters.each("weight")),
            blocks.measured,
            parameters.number("floor"),
            parameters.flag("normalize"),
        )

    def combine(self, block: Block, sureness: Sureness) -> NDArray | Tensor:
        """``(models, rows, columns)`` -> ``(rows, columns)``."""
        mean = mean_of(block, sureness.weights)
        start = double(mean)
        step, total = np.zeros_like(start), np.zeros_like(start)
        for model in range(len(sureness.measured)):
            share = sureness.of(model, block)
            step += share * (numbers_of(block, model) - start)
            total += share
        # Where nobody is sure of anything the plain mean stays.
        np.divide(step, total, out=step, where=total > 0)
        return stepped(block, mean, step)
