"""Task vectors as plain arrays, for methods that are no sum of thinned task vectors.

Arithmetic on them is written once: with the operators, and the few functions, that NumPy's arrays
and torch's tensors share. They are float32, or float64 where the tensors are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from evomerge.kernels.block import Block
from evomerge.kernels.primitives import weighted_sum
from evomerge.kernels.sums import Floats, Shares
from evomerge.methods.base import Blocks
from evomerge.methods.measured import Measured

# ``(rows, columns)``: a NumPy array or a torch tensor.
Array: TypeAlias = Any

# For the steps of a method: NaN and infinity that were let through show in the result.
quietly = np.errstate(all="ignore")

_AS_IT_IS = Shares(np.array([1.0]))
_PLUS = Shares(np.array([1.0, 1.0]))
_MINUS = Shares(np.array([1.0, -1.0]))


def changes(block: Block) -> list[Array]:
    """The task vectors: each model minus the base."""
    return [weighted_sum(alone(block, [model, block.base]), _MINUS) for model in block.inputs]


def added(block: Block, change: Array) -> Array:
    """The base plus a merged task vector, rounded once."""
    base = weighted_sum(alone(block, [block.base]), _AS_IT_IS)
    return weighted_sum(replace(block, inputs=[base, change], base=None), _PLUS)


def by_row(block: Block, array: Array, factors: Floats) -> Array:
    """An array of the block's shape times ``(rows,)`` factors of the tensor."""
    return weighted_sum(alone(block, [array]), Shares(factors[None], "row"))


def numbers(flags: Array, like: Array) -> Array:
    """Flags as 0 and 1, of the type of ``like``."""
    is_numpy = isinstance(flags, np.ndarray)
    return flags.astype(like.dtype) if is_numpy else flags.to(like.dtype)


class Derived:
    """What a function makes of every block of a tensor, as blocks without a base."""

    def __init__(
        self, blocks: Blocks, models: int, make: Callable[[Block], Sequence[Array]]
    ) -> None:
        """``make`` returns ``models`` arrays of the block's shape."""
        self.models = models
        self.size = blocks.size
        self.columns = blocks.columns
        self.shape = blocks.shape
        self.keys = blocks.keys
        self._blocks = blocks
        self._make = make

    @property
    def measured(self) -> Sequence[Measured]:
        """Measurements are of the blocks as they were."""
        return ()

    @property
    def whole(self) -> Blocks:
        """Themselves."""
        return self

    def __iter__(self) -> Iterator[Block]:
        for block in self._blocks:
            yield alone(block, self._make(block))


def alone(block: Block, arrays: Sequence[Array]) -> Block:
    """Arrays of the block's shape, and of one type, in its place, without a base."""
    return replace(block, inputs=arrays, base=None, out=None)
