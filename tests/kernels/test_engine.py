"""Which engine runs, and what is said when the compiled one cannot."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from evomerge.kernels import engine, fused, reference
from evomerge.kernels.torch_arrays import to_numpy, to_torch

PRIMITIVES = [
    "all_finite", "column_gram", "count_magnitudes", "count_within", "elected_sum", "gram",
    "magnitude_sums", "nth_equal", "ranked_chance", "row_cuts", "tally",
    "weighted_sum",
]  # fmt: skip


@pytest.mark.parametrize("name", PRIMITIVES)
def test_both_engines_offer_every_primitive(name):
    assert callable(getattr(fused, name))
    assert callable(getattr(reference, name))


def test_the_compiled_engine_comes_first_and_without_a_word():
    assert engine.fused_engine() is fused
    assert engine.reference_engine() is reference


@pytest.mark.parametrize(
    "failure", [ImportError("no numba"), RuntimeError("no cache folder"), OSError("no library")]
)
def test_without_it_there_is_a_warning_that_says_why(monkeypatch, failure):
    def refuse(name):
        raise failure

    monkeypatch.setattr(engine.importlib, "import_module", refuse)
    with pytest.warns(UserWarning, match=rf"compiled CPU kernels .*{failure}.*torch, slower"):
        assert engine.fused_engine() is None


def test_the_compiled_engine_needs_no_torch():
    program = "import sys, evomerge.kernels.fused; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16, FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_arrays_become_tensors_and_back(dtype, shape):
    array = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    tensor = to_torch(array)
    assert str(tensor.dtype) == f"torch.{dtype.name}"
    assert tensor.shape == shape
    back = to_numpy(tensor, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT32], ids=str)
def test_on_the_cpu_they_share_memory(dtype):
    array = np.zeros(3, dtype)
    to_torch(array)[1] = 1
    assert array[1] == 1
