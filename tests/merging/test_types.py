"""Promises of element types: what inputs are cast to, what is computed in, what is written."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, dtype_name
from tests.merging.tiny import UP, llama, merged, model, of_layer, recipe, same, tuned

NAME = of_layer(0, UP)
FLOATS = [BFLOAT16, FLOAT16, FLOAT32, FLOAT64]


@pytest.fixture
def models(tmp_path):
    """``models(dtype, ...)``: folders and tensors of fine-tunes, the first one the base."""
    base = llama(0, dtype=FLOAT64)

    def make(*dtypes):
        tensors = [
            {name: array.astype(dtype) for name, array in tuned(base, seed).items()}
            for seed, dtype in enumerate(dtypes)
        ]
        folders = [model(tmp_path / f"{i}", each) for i, each in enumerate(tensors)]
        return folders, tensors

    return make


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_models_of_one_type_give_that_type(models, dtype):
    folders, _ = models(dtype, dtype)
    found = merged(recipe("linear", *folders, weight=1))
    assert {array.dtype for array in found.values()} == {dtype}


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        ((BFLOAT16, FLOAT32), FLOAT32),
        ((BFLOAT16, FLOAT16), FLOAT32),
        ((FLOAT64, BFLOAT16), FLOAT64),
    ],
    ids=str,
)
def test_models_of_different_types_give_one_that_holds_both(models, dtypes, result):
    folders, (a, b) = models(*dtypes)
    found = merged(recipe("linear", *folders, weight=1))[NAME]
    assert found.dtype == result
    expected = (a[NAME].astype(np.float64) + b[NAME].astype(np.float64)) / 2
    np.testing.assert_allclose(found, expected.astype(result), rtol=1e-6)


@pytest.mark.parametrize("written", FLOATS, ids=str)
@pytest.mark.parametrize("cast", FLOATS, ids=str)
@pytest.mark.parametrize("stored", FLOATS, ids=str)
def test_inputs_are_cast_first_and_the_result_last(models, stored, cast, written):
    folders, tensors = models(stored, stored, stored)
    names = {"dtype": dtype_name(cast), "out_dtype": dtype_name(written)}
    found = merged(recipe("task_arithmetic", *folders[1:], base=folders[0], weight=0.7, **names))
    base, a, b = (each[NAME].astype(cast).astype(np.float64) for each in tensors)
    exact = base + 0.7 * ((a - base) + (b - base))
    assert found[NAME].dtype == written
    # One rounding to the written type, and that of float32 arithmetic.
    error = np.abs(found[NAME].astype(np.float64) - exact)
    half_ulp = 0.5 * np.spacing(np.abs(exact).astype(written)).astype(np.float64)
    arithmetic = 0.0 if cast == FLOAT64 else 4 * 2.0**-24
    assert (error <= half_ulp + (arithmetic + 1e-14) * np.abs(exact).max()).all()


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_ties"])
def test_writing_another_type_changes_the_last_rounding_only(models, method):
    folders, _ = models(BFLOAT16, BFLOAT16, BFLOAT16)
    tree = recipe(method, *folders[1:], base=folders[0], weight=0.5)
    wide = merged(tree | {"out_dtype": "float32"})
    same(merged(tree), {name: array.astype(BFLOAT16) for name, array in wide.items()})


def test_dtype_is_what_is_written_unless_something_else_is_asked(models):
    folders, _ = models(FLOAT32, FLOAT32)
    found = merged(recipe("linear", *folders, weight=1, dtype="float16"))
    assert {array.dtype for array in found.values()} == {FLOAT16}


@pytest.mark.parametrize("method", ["linear", "ties", "nuslerp", "karcher"])
def test_float64_is_merged_in_float64(models, method):
    # Three copies of a model, a part in 10^12 away from its base: float32 sees no difference.
    folders, (base, *_) = models(FLOAT64)
    near = {name: array * (1 + 1e-12) for name, array in base.items()}
    twins = [model(folders[0].parent / f"near-{i}", near) for i in range(2)]
    weights = {} if method == "karcher" else {"weight": 1}
    needs_base = {"base": folders[0]} if method == "ties" else {}
    found = merged(recipe(method, *twins, **needs_base, **weights))
    for name, array in near.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-14)
