"""What is known of a tensor before it is read: its name, shape and element type."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from evomerge.dtypes import DType


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as a safetensors header declares it."""

    name: str
    shape: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        """The number of elements: 1 for a scalar, 0 when any side is 0."""
        return prod(self.shape)

    @property
    def grid(self) -> tuple[int, ...]:
        """The shape by which rows are counted: ``(rows, columns)`` for more than two axes."""
        *leading, _ = self.shape or (1,)
        return (prod(leading), self.shape[-1]) if len(leading) > 1 else self.shape

    @property
    def nbytes(self) -> int:
        """The bytes it takes in a file."""
        return self.size * self.dtype.itemsize
