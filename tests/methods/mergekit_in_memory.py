"""Runs one of mergekit's merge methods on arrays in memory, and compares with ours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.methods.in_memory import merged

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mergekit = pytest.importorskip("mergekit.merge_methods")

# The largest difference allowed, as a share of the tensor's largest value.
TOLERANCE = 1e-5


def by_mergekit(
    name: str, arrays: Sequence[np.ndarray], *, base: np.ndarray | None = None, **given
) -> np.ndarray:
    """The merge in float32. Parameters as for ``merged``; ``lambda_`` is mergekit's ``lambda``."""
    tensors = [torch.from_numpy(a) for a in ([] if base is None else [base]) + list(arrays)]
    parameters = {key.rstrip("_"): value for key, value in given.items()}
    index = None if base is None else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mergekit.merge_tensors(
            tensors, name, parameters=parameters, base_index=index, dtype=torch.float32
        ).numpy()


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two arrays as a share of the largest value."""
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    assert np.isfinite(ours).all()
    largest = np.abs(theirs).max(initial=0.0)
    distance = np.abs(ours.astype(np.float64) - theirs).max(initial=0.0)
    return float(distance / largest if largest else distance)


def assert_parity(name: str, arrays: Sequence[np.ndarray], **given) -> np.ndarray:
    """Both programs give the same tensor, which is returned."""
    theirs = by_mergekit(name, arrays, **given)
    found = difference(merged(name, arrays, **given), theirs)
    assert found <= TOLERANCE, f"{found:.1e} of the largest value"
    return theirs
