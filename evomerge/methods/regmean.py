"""RegMean: the linear layer whose outputs are nearest to those of every model's own layer.

[1] X. Jin, X. Ren, D. Preotiuc-Pietro, P. Cheng. Dataless knowledge fusion by merging weights of
    language models. ICLR 2023. https://arxiv.org/abs/2212.09849
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Param, Parameters, merge_method, weight
from evomerge.methods.measured import (
    GRAM,
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

ALPHA = Param("alpha", 0.9, "factor on what different inputs have in common", search=(0.0, 1.0))
RIDGE = Param("ridge", 1e-6, "pull towards the mean, as a share of the inputs' mean square")

# The square of a pivot's share of the largest one below which a matrix counts as singular.
SINGULAR = 1e-15


@dataclass(frozen=True)
class Step:
    """How the result differs from the mean.

    Attributes:
        weights: of the mean, one for each model.
        change: ``(rows, columns)``, to be added; None leaves the mean.
    """

    weights: Floats
    change: Double | None


@merge_method(
    "regmean",
    base="input",
    params=[weight(required=False, search=(0.0, 1.5)), ALPHA, RIDGE],
)
class RegMean:
    """Least squares: linear layers whose outputs are nearest to the models' own, on their data [1].

    For a layer with inputs X the Gram matrix is XᵀX; a bias is the weight of an input that is
    always 1. What is no linear layer is averaged.
    """

    def check(self, parameters: Parameters) -> None:
        """Weights, alpha and ridge are in their ranges."""
        check_weights(parameters.each("weight"))
        alpha, ridge = parameters.number("alpha"), parameters.number("ridge")
        if not 0 <= alpha <= 1:
            raise MergeError(f"alpha {alpha:g}; expected 0 to 1")
        if ridge < 0:
            raise MergeError(f"ridge {ridge:g}; expected 0 or more")

    def measures(self, parameters: Parameters) -> str:
        """The Gram matrix of the inputs."""
        return GRAM

    def survey(self, blocks: Blocks) -> None:
        """Nothing but what was measured."""

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Step:
        """Solves for the whole layer: one Gram matrix is in memory at a time, and their sum."""
        weights = shares_of(parameters.each("weight"))
        measured = blocks.measured
        if not measured or len(blocks.shape) not in {1, 2}:
            return Step(weights, None)
        problem = _Problem(blocks, measured, weights)
        change = problem.solve(parameters.number("alpha"), parameters.number("ridge"))
        return Step(weights, change)

    def combine(self, block: Block, step: Step) -> NDArray | Tensor:
        """``(models, rows, columns)`` -> ``(rows, columns)``."""
        mean = mean_of(block, step.weights)
        if step.change is None:
            return stepped(block, mean, np.zeros((block.rows, block.where.columns)))
        row = block.where.row
        return stepped(block, mean, step.change[row : row + block.rows])


@dataclass(frozen=True)
class _Problem:
    """One layer's weight or bias: minimise Σᵢ wᵢ ‖Xᵢ(Aᵢ − A)ᵀ‖² for A = [W, b].

    With A = M + C, M the mean, and Dᵢ = Aᵢ − M: C = (Σ wᵢ Dᵢ Gᵢ)(Σ wᵢ Gᵢ)⁻¹. A ridge keeps C small.
    """

    blocks: Blocks
    measured: Sequence[Measured]
    weights: Floats

    @property
    def is_bias(self) -> bool:
        """Whether what is asked for is the bias of a layer."""
        return len(self.blocks.shape) == 1

    @property
    def has_bias(self) -> bool:
        """Whether every model's layer has one."""
        return all(each.partner is not None for each in self.measured)

    def solve(self, alpha: float, ridge: float) -> Double | None:
        """``(rows, columns)``: how the tensor differs from the mean; None where nothing is known.

        Raises:
            MergeError: inputs depend on each other, and neither ``alpha`` nor ``ridge`` decides.
        """
        size = self.measured[0].read(slice(None)).shape[0] - (not self.has_bias)
        partners = self._partners()
        outputs = self.blocks.shape[-1 if self.measured[0].turned else 0]
        total, right = np.zeros((size, size)), np.zeros((outputs, size))
        for model, (each, share) in enumerate(zip(self.measured, self.weights, strict=True)):
            gram = share * self._gram(each, alpha)
            right += self._deviation(model, partners) @ gram
            total += gram
        if not total.any():
            return None
        total[np.diag_indices_from(total)] += ridge * np.trace(total) / len(total)
        change = _solved(total, right, self.measured[0].where)
        if self.is_bias:
            return change[None, :, -1]
        weights = change[:, :-1] if self.has_bias else change
        return np.ascontiguousarray(weights.T if self.measured[0].turned else weights)

    def _gram(self, each: Measured, alpha: float) -> Double:
        """``(inputs, inputs)``: without the constant input if there is no bias."""
        gram = double(each.read(slice(None)))
        gram = gram if self.has_bias else gram[:-1, :-1]
        scaled: Double = alpha * gram
        np.fill_diagonal(scaled, gram.diagonal())
        return scaled

    def _partners(self) -> list[Double]:
        """Of every model what belongs to the tensor, less its mean over the models."""
        if not self.has_bias:
            return []
        found = [double(each.partner()) for each in self.measured if each.partner is not None]
        mean = np.average(found, axis=0, weights=self.weights)
        return [one - mean for one in found]

    def _deviation(self, model: int, partners: Sequence[Double]) -> Double:
        """``(outputs, inputs)``: one model's layer less the mean."""
        own: Double = np.concatenate(list(self._rows(model)))
        weights = partners[model] if self.is_bias else own
        weights = weights.T if self.measured[0].turned else weights
        if not self.has_bias:
            return weights
        return np.column_stack([weights, own.reshape(-1) if self.is_bias else partners[model]])

    def _rows(self, model: int) -> Iterator[Double]:
        for block in self.blocks:
            yield numbers_of(block, model) - double(mean_of(block, self.weights))


def _solved(total: Double, right: Double, where: str) -> Double:
    """``right @ inverse(total)`` for a symmetric positive definite matrix."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:
        factor = cho_factor(total, lower=True, check_finite=False)
        pivots = np.square(factor[0].diagonal())
        if not pivots.min() > SINGULAR * pivots.max():
            raise LinAlgError
    except LinAlgError as error:
        raise MergeError(
            f"{where}: the Gram matrix of its inputs is singular; give 'ridge', such as 1e-6, "
            "'alpha' below 1, or more data"
        ) from error
    solved: Double = cho_solve(factor, right.T, check_finite=False).T
    return solved
