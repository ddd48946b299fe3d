"""Promises of element types: every name and code leads to one type and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT64,
    NAMES,
    SAFETENSORS,
    dtype_name,
    is_float,
    parse_dtype,
    promote,
    safetensors_code,
)
from evomerge.errors import RecipeError

FLOATS = [BFLOAT16, FLOAT16, FLOAT32, FLOAT64]


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_there_and_back(name):
    assert dtype_name(parse_dtype(name)) == name
    assert parse_dtype(f"torch.{name}") == parse_dtype(name)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_torch(name):
    assert getattr(torch, name).itemsize == parse_dtype(name).itemsize


@pytest.mark.parametrize("name", ["fp16", "BFLOAT16", "torch.torch.float32", "", "float8_e4m3fn"])
def test_other_names_are_refused(name):
    with pytest.raises(RecipeError, match=r"^dtype: unknown dtype .*\n +available: bfloat16"):
        parse_dtype(name)


def test_the_refusal_says_where_and_what_was_meant():
    with pytest.raises(RecipeError, match=r"^out_dtype: .*did you mean 'bfloat16'"):
        parse_dtype("bfloat", "out_dtype")


@pytest.mark.parametrize("code", SAFETENSORS)
def test_codes_lead_there_and_back(code):
    assert safetensors_code(SAFETENSORS[code]) == code


def test_floats_are_told_from_whole_numbers():
    floats = {code for code, dtype in SAFETENSORS.items() if is_float(dtype)}
    assert floats == {"F8_E4M3", "F8_E5M2", "F16", "BF16", "F32", "F64"}
    assert not is_float(INT64)


@given(st.lists(st.sampled_from(FLOATS), min_size=1))
def test_promotion_does_not_depend_on_order_or_number(dtypes):
    assert promote(dtypes) == promote(sorted(set(dtypes), key=str))


@pytest.mark.parametrize("left", FLOATS)
@pytest.mark.parametrize("right", FLOATS)
def test_promotion_is_that_of_torch(left, right):
    expected = torch.promote_types(getattr(torch, left.name), getattr(torch, right.name))
    assert dtype_name(promote([left, right])) == str(expected).removeprefix("torch.")


@pytest.mark.parametrize("left", FLOATS)
@pytest.mark.parametrize("right", FLOATS)
def test_promotion_loses_nothing(left, right):
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(100).astype(left)
    there_and_back = numbers.astype(promote([left, right])).astype(left)
    np.testing.assert_array_equal(there_and_back, numbers)
