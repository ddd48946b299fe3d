"""Promises about NaN and infinity in a model: refused by name, or let through and visible."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from evomerge.errors import MergeError
from evomerge.merging.stream import Options
from evomerge.methods.base import merge_methods
from tests.merging.tiny import METHODS, UP, llama, merged, model, of_layer, recipe, tuned

NAME = of_layer(1, UP)


@pytest.fixture
def spoilt(tmp_path):
    """``spoilt(value, which, dtype)``: a base and two fine-tunes, one of which holds the value."""

    def make(value, which=2, dtype=FLOAT32):
        tensors = [tuned(llama(0, dtype=dtype), seed) for seed in range(3)]
        tensors[which][NAME][3, 2] = value
        return [model(tmp_path / name, t) for name, t in zip("abc", tensors, strict=True)]

    return make


def tree_of(method, base, *models, **rest):
    declared = merge_methods[method]
    models = models[: (declared.models[1] or 2) - (declared.base == "first")]
    needs_base = {"base": base} if declared.base in {"first", "required"} else {}
    required = {name: 1 for name, param in declared.params.items() if param.required}
    return recipe(method, *models, **needs_base, **required, **rest)


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16, FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_it_is_refused_with_tensor_and_model(spoilt, value, dtype):
    a, b, c = spoilt(value, dtype=dtype)
    with pytest.raises(MergeError, match=rf"^{NAME}: c holds NaN or infinity; .*--allow-nan"):
        merged(recipe("linear", a, b, c, weight=1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_refuses_it(spoilt, method):
    a, b, c = spoilt(np.nan, which=1)
    with pytest.raises(MergeError, match=rf"^{NAME}: b holds NaN"):
        merged(tree_of(method, a, b, c))


@pytest.mark.parametrize("method", [n for n in METHODS if merge_methods[n].base == "required"])
def test_the_base_is_looked_at_too(spoilt, method):
    a, b, c = spoilt(np.inf, which=0)
    with pytest.raises(MergeError, match=rf"^{NAME}: a holds NaN"):
        merged(tree_of(method, a, b, c))


@pytest.mark.parametrize("kernels", [True, False], ids=["fused", "torch"])
@pytest.mark.parametrize("method", METHODS)
def test_let_through_it_stays_visible(spoilt, method, kernels):
    a, b, c = spoilt(np.nan, which=1)
    found = merged(tree_of(method, a, b, c), Options(allow_nan=True, kernels=kernels))
    assert np.isnan(found[NAME][3, 2])
    others = np.concatenate([array.ravel() for name, array in found.items() if name != NAME])
    assert np.isfinite(others).all()


@pytest.mark.parametrize("kernels", [True, False], ids=["fused", "torch"])
@pytest.mark.parametrize("method", ["arcee_fusion", "nearswap", "ram", "ramplus_tl", "sce"])
def test_no_threshold_hides_infinity(spoilt, method, kernels):
    a, b, c = spoilt(np.inf, which=1)
    found = merged(tree_of(method, a, b, c), Options(allow_nan=True, kernels=kernels))
    assert not np.isfinite(found[NAME][3, 2])


def test_numbers_that_outgrow_the_dtype_are_refused(tmp_path):
    tensors = llama(0)
    tensors[NAME][0, 0] = 1e6
    folder = model(tmp_path / "large", tensors)
    with pytest.raises(MergeError, match=rf"^{NAME}: large holds NaN or infinity as float16; "):
        merged(recipe("passthrough", folder, dtype="float16"))


BIAS = of_layer(0, "self_attn.q_proj.bias")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bias_that_one_model_alone_has_is_looked_at(tmp_path, value):
    bias = np.array([1, 2, value, 4, 5, 6], np.float32)
    a = model(tmp_path / "a", llama(0))
    b = model(tmp_path / "b", llama(1) | {BIAS: bias})
    tree = recipe("slerp", b, base=a, t=0.5)
    with pytest.raises(MergeError, match=rf"^{BIAS}: b holds NaN or infinity; .*--allow-nan"):
        merged(tree)
    np.testing.assert_array_equal(merged(tree, Options(allow_nan=True))[BIAS], bias)


def test_a_mask_may_hold_infinity(tmp_path):
    mask = {of_layer(0, "self_attn.masked_bias"): np.array(-np.inf, np.float32)}
    folders = [model(tmp_path / str(seed), llama(seed) | mask) for seed in range(2)]
    found = merged(recipe("linear", *folders, weight=1))
    assert found[of_layer(0, "self_attn.masked_bias")] == -np.inf


@pytest.mark.parametrize("kernels", [True, False], ids=["fused", "torch"])
@pytest.mark.parametrize("stored", [FLOAT32, FLOAT64], ids=str)
def test_a_result_that_outgrows_what_is_written_is_refused(tmp_path, stored, kernels):
    tensors = llama(0, dtype=stored)
    tensors[NAME][0, 0] = 6e4
    folders = [model(tmp_path / name, tensors) for name in "ab"]
    tree = recipe("linear", *folders, weight=1, normalize=False, out_dtype="float16")
    with pytest.raises(MergeError, match=rf"^{NAME}: a merged number is too large for float16; "):
        merged(tree, Options(kernels=kernels))
    found = merged(tree, Options(kernels=kernels, allow_nan=True))
    assert np.flatnonzero(np.isinf(found[NAME])).tolist() == [0]
    fits = merged(tree | {"out_dtype": "bfloat16"}, Options(kernels=kernels))
    assert np.isfinite(fits[NAME]).all()
