"""What is written of a tensor: a copy, or what a method made of a block, in the output's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, DType, dtype_name, is_float
from evomerge.errors import MergeError
from evomerge.kernels.block import Block, NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.merging.plan import TensorPlan


def copied(tensor: TensorPlan, *, allow_nan: bool) -> NDArray:
    """``(elements,)``: the first input as it is. Whole numbers must be the same in all models.

    Raises:
        MergeError: they are not, or there is NaN or infinity that is not let through.
    """
    first, *others = tensor.inputs
    array = first.source.load(first.name)
    for other in others:
        if not np.array_equal(array, other.source.load(other.name)):
            raise MergeError(
                f"{tensor.info.name}: {first.source.label} and {other.source.label} hold different "
                "numbers; tensors of whole numbers must agree"
            )
    if not allow_nan and is_float(array.dtype) and not np.isfinite(array).all():
        raise MergeError(
            f"{first.name}: {first.source.label} holds NaN or infinity; "
            "mend the model, or let them through with --allow-nan"
        )
    return rounded(array, tensor.info, allow_nan=allow_nan).reshape(-1)


def target(out: NDArray | None, block: Block, dtype: DType) -> NDArray:
    """A buffer for a block's result, of a type that the kernels write."""
    if out is not None and len(out) >= block.rows:
        return out
    written = dtype if dtype in {BFLOAT16, FLOAT32} else FLOAT32
    return np.empty((block.rows, block.where.columns), written)


def rounded(result: NDArray | Tensor, info: TensorInfo, *, allow_nan: bool) -> NDArray:
    """A result in the element type of the output.

    Raises:
        MergeError: a number is too large for that type, and infinity is not let through.
    """
    over: Literal["ignore", "raise"] = "ignore" if allow_nan else "raise"
    try:
        with np.errstate(over=over):
            return _moved(result, info.dtype).astype(info.dtype, copy=False)
    except FloatingPointError as error:
        raise MergeError(
            f"{info.name}: a merged number is too large for {dtype_name(info.dtype)}; "
            "set out_dtype to bfloat16 or float32, or let infinity through with --allow-nan"
        ) from error


def _moved(result: NDArray | Tensor, dtype: DType) -> NDArray:
    """The result in main memory: as it is where rounding it may overflow, else rounded before."""
    if isinstance(result, np.ndarray):
        return result
    from evomerge.kernels.torch_arrays import to_numpy

    return result.cpu().numpy() if dtype == FLOAT16 else to_numpy(result, dtype)
