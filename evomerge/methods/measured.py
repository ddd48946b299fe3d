"""What data say of a tensor in one model, and how methods that use it write their result.

A measurement is an input like the weights: a method asks for its kind, and gets the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Floats, Shares

if TYPE_CHECKING:
    from torch import Tensor

# The kinds there are.
GRAM = "gram"
FISHER = "fisher"
EMPIRICAL_FISHER = "empirical_fisher"

Double: TypeAlias = npt.NDArray[np.float64]

_AS_IT_IS = Shares(np.array([1.0]))
_PLUS = Shares(np.array([1.0, 1.0]))


@dataclass(frozen=True)
class Measured:
    """One tensor of one model, measured.

    Attributes:
        where: the tensor's name, for messages.
        read: the numbers. Of a Fisher diagonal, ``(rows, columns)``: those of the rows asked for.
            Of a Gram matrix, all ``(inputs + 1, inputs + 1)``: the last input is the constant 1.
        norm: the length of the whole model's Fisher diagonal as one vector.
        partner: of a layer's weight its bias, of the bias the weight; None if there is no bias.
        turned: whether the weight is ``(inputs, outputs)``.
    """

    where: str
    read: Callable[[slice], NDArray]
    norm: float = 1.0
    partner: Callable[[], NDArray] | None = None
    turned: bool = False


def mean_of(block: Block, shares: Floats) -> NDArray | Tensor:
    """The weighted mean of the models in a block, in the type of the arithmetic."""
    return weighted_sum(replace(block, out=None), Shares(shares))


def numbers_of(block: Block, model: int) -> Double:
    """One model's numbers in a block."""
    return double(weighted_sum(replace(block, inputs=[block.inputs[model]], out=None), _AS_IT_IS))


def double(array: NDArray | Tensor) -> Double:
    """A NumPy array or a torch tensor as an array in float64."""
    return np.asarray(array if isinstance(array, np.ndarray) else array.cpu(), np.float64)


def stepped(block: Block, mean: NDArray | Tensor, step: Double) -> NDArray | Tensor:
    """The mean plus a step, where the block's result belongs."""
    same = step.astype(mean.dtype) if isinstance(mean, np.ndarray) else mean.new_tensor(step)
    return weighted_sum(replace(block, inputs=[mean, same]), _PLUS)


def shares_of(weights: Floats) -> Floats:
    """Weights that sum to one."""
    shares: Floats = weights / weights.sum()
    return shares


def check_weights(weights: Floats) -> None:
    """Weights are not negative, and not all zero.

    Raises:
        MergeError: they are.
    """
    if not (weights >= 0).all() or not weights.sum() > 0:
        listed = ", ".join(f"{w:g}" for w in weights)
        raise MergeError(f"the weights {listed}; expected 0 or more for each, and not all 0")
