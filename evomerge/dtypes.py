"""Element types: the names of recipes and configs, NumPy's dtypes, the codes of safetensors files.

NumPy has no bfloat16 of its own; ``ml_dtypes`` adds it, and the 8-bit floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import ml_dtypes
import numpy as np

from evomerge.errors import RecipeError, unknown

DType = np.dtype[np.generic]

BFLOAT16: DType = np.dtype(ml_dtypes.bfloat16)
FLOAT16: DType = np.dtype(np.float16)
FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
INT64: DType = np.dtype(np.int64)

NAMES: Mapping[str, DType] = MappingProxyType(
    {"bfloat16": BFLOAT16, "float16": FLOAT16, "float32": FLOAT32, "float64": FLOAT64}
)

SAFETENSORS: Mapping[str, DType] = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "U8": np.dtype(np.uint8),
        "I8": np.dtype(np.int8),
        "U16": np.dtype(np.uint16),
        "I16": np.dtype(np.int16),
        "U32": np.dtype(np.uint32),
        "I32": np.dtype(np.int32),
        "U64": np.dtype(np.uint64),
        "I64": INT64,
        "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
        "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
        "F16": FLOAT16,
        "BF16": BFLOAT16,
        "F32": FLOAT32,
        "F64": FLOAT64,
    }
)
_CODES = {dtype: code for code, dtype in SAFETENSORS.items()}


def parse_dtype(name: str, where: str = "dtype") -> DType:
    """The element type a recipe names, with or without the prefix ``torch.``.

    Raises:
        RecipeError: the name is not one a model can be merged or written in.
    """
    bare = name.removeprefix("torch.")
    if bare not in NAMES:
        raise RecipeError(f"{where}: {unknown('dtype', name, NAMES)}")
    return NAMES[bare]


def dtype_name(dtype: DType) -> str:
    """The name used in recipes and in config.json, such as ``bfloat16``."""
    return dtype.name


def safetensors_code(dtype: DType) -> str:
    """The code of a safetensors header, such as ``BF16``."""
    return _CODES[dtype]


def is_float(dtype: DType) -> bool:
    """Whether the type holds floating-point numbers: weights, not indices or masks."""
    return safetensors_code(dtype)[0] in "BF" and dtype != np.bool_


def promote(dtypes: list[DType]) -> DType:
    """The smallest of our floating-point types that holds every one of ``dtypes``.

    bfloat16 with float16 gives float32, as in torch.
    """
    if len(set(dtypes)) == 1:
        return dtypes[0]
    return FLOAT64 if FLOAT64 in dtypes else FLOAT32
