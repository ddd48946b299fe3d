"""Promises of passthrough: one model, as it is or scaled."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16
from tests.methods.in_memory import family, merged


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), BFLOAT16], ids=str)
def test_the_model_passes_bit_for_bit(scale, dtype):
    model, _ = family(0, (6, 7), 0, dtype)
    model[0, :3] = [0.0, -0.0, np.finfo(np.float32).smallest_subnormal]
    found = merged("passthrough", [model], scale=[scale])
    expected = model.astype(np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("scale", [0.0, 0.5, -1.0, 3.0])
def test_it_is_scaled(scale):
    model, _ = family(0, (6, 7), 0)
    np.testing.assert_array_equal(
        merged("passthrough", [model], scale=[scale]), np.float32(scale) * model
    )
