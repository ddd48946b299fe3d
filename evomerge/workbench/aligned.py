"""Memory for tensors, as torch would lay it out."""

from __future__ import annotations

from math import prod

import numpy as np

from evomerge.dtypes import DType

# torch begins its tensors at whole cache lines.
ALIGNMENT = 64


def aligned(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    """An array with arbitrary content.

    NumPy asks the system for large pages, of which there are fewer to look up.
    """
    nbytes = prod(shape) * dtype.itemsize
    memory = np.empty(nbytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + nbytes].view(dtype).reshape(shape)


def is_aligned(array: np.ndarray) -> bool:
    """Whether torch could have laid it out like this."""
    return bool(array.ctypes.data % ALIGNMENT == 0 and array.flags.c_contiguous)
