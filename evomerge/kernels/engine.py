"""The two engines that compute on blocks: fused CPU kernels, and torch on any device."""

from __future__ import annotations

import importlib
import warnings
from typing import cast

from evomerge.kernels.block import Engine


def fused_engine() -> Engine | None:
    """The compiled kernels, or None, with a warning that says why they cannot run."""
    try:
        return cast(Engine, importlib.import_module("evomerge.kernels.fused"))
    except (ImportError, RuntimeError, OSError) as error:
        warnings.warn(
            f"the compiled CPU kernels are not available ({error}); merging with torch, slower",
            UserWarning,
            stacklevel=2,
        )
        return None


def reference_engine() -> Engine:
    """The torch implementation, which runs on any device."""
    return cast(Engine, importlib.import_module("evomerge.kernels.reference"))
