"""NumPy arrays as torch tensors and back, bfloat16 included."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evomerge.dtypes import BFLOAT16, DType, dtype_name
from evomerge.kernels.block import NDArray


def to_torch(array: NDArray, device: str = "cpu") -> Tensor:
    """The same numbers as a tensor on a device; on the CPU it shares the array's memory."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def to_numpy(tensor: Tensor, dtype: DType) -> NDArray:
    """The tensor in main memory, rounded to ``dtype``."""
    rounded = tensor.to(getattr(torch, dtype_name(dtype))).cpu()
    if dtype == BFLOAT16:
        return rounded.view(torch.int16).numpy().view(BFLOAT16)
    return rounded.numpy()
